"""Office documents with macros, as small as a package can be."""

from __future__ import annotations

import io
import zipfile

MAIN = {
    "docm": ("word/document.xml", "application/vnd.ms-word.document.macroEnabled.main+xml"),
    "xlsm": ("xl/workbook.xml", "application/vnd.ms-excel.sheet.macroEnabled.main+xml"),
    "pptm": ("ppt/presentation.xml", "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"),
}
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MICROSOFT = "http://schemas.microsoft.com/office/2006/relationships"


def with_macros(kind: str, macro: bytes, extra: dict[str, bytes] | None = None) -> bytes:
    """A document of the kind docm, xlsm or pptm whose VBA project is `macro`."""
    main, media = MAIN[kind]
    folder = main.partition("/")[0]
    types = (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>'
        f'<Override PartName="/{main}" ContentType="{media}"/>'
        f'<Override PartName="/{folder}/vbaData.xml" ContentType="application/vnd.ms-word.vbaData+xml"/></Types>'
    )
    members = {
        "[Content_Types].xml": types.encode(),
        "_rels/.rels": _relationships(("rId1", f"{_OFFICE}/officeDocument", main)),
        main: b"<document/>",
        f"{folder}/_rels/{main.partition('/')[2]}.rels": _relationships(
            ("rId1", f"{_OFFICE}/styles", "styles.xml"), ("rId2", f"{_MICROSOFT}/vbaProject", "vbaProject.bin")
        ),
        f"{folder}/styles.xml": b"<styles/>",
        f"{folder}/vbaProject.bin": macro,
        f"{folder}/_rels/vbaProject.bin.rels": _relationships(("rId1", f"{_MICROSOFT}/wordVbaData", "vbaData.xml")),
        f"{folder}/vbaData.xml": b"<vbaSuppData/>",
    }
    return package({**members, **(extra or {})})


def _relationships(*entries: tuple[str, str, str]) -> bytes:
    rows = "".join(f'<Relationship Id="{name}" Type="{kind}" Target="{target}"/>' for name, kind, target in entries)
    return f'<?xml version="1.0"?>\n<Relationships xmlns="{_PACKAGE}/relationships">{rows}</Relationships>'.encode()


def package(members: dict[str, bytes]) -> bytes:
    """A ZIP archive of these members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()
