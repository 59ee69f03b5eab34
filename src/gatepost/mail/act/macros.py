"""An Office document without its macros.

What it does: takes the VBA project out of a document, workbook or presentation (docm, xlsm, pptm), with every relationship and content
type that names it, so that what is left is a docx, xlsx or pptx.
Not its job: finding macros, or saying that what is left is harmless: the result is scanned like any other content.
Raises: `BudgetError`. A document for which this is not known to be safe is None: older formats, templates, Excel 4 macro sheets,
anything odd in the package.
Sources: ECMA-376 part 2 (packages, content types, relationships); MS-OFFMACRO2 2.2 (the parts of macros).
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.etree import ElementTree as ET

from gatepost.mail.model import Budget
from gatepost.system.foreign import attempt

_TYPES = "[Content_Types].xml"
_MACRO = "vba"
_SHEETS = "xl/macrosheets/"
_RELATIONSHIPS = re.compile(r"(?:(.*)/)?_rels/([^/]*)\.rels")
_ENTRY = re.compile(rb"<(?:\w+:)?(?:Override|Default|Relationship)\b[^<>]*/>")
_ENCRYPTED = 1


class Kind(NamedTuple):
    """A kind of document: the media type of its main part with macros, that without, of the file without, and that file's extension."""

    main: str
    plain: str
    file: str
    extension: str


_OPEN = "application/vnd.openxmlformats-officedocument."
_KINDS = (
    Kind(
        "application/vnd.ms-word.document.macroEnabled.main+xml",
        f"{_OPEN}wordprocessingml.document.main+xml",
        f"{_OPEN}wordprocessingml.document",
        "docx",
    ),
    Kind(
        "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
        f"{_OPEN}spreadsheetml.sheet.main+xml",
        f"{_OPEN}spreadsheetml.sheet",
        "xlsx",
    ),
    Kind(
        "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml",
        f"{_OPEN}presentationml.presentation.main+xml",
        f"{_OPEN}presentationml.presentation",
        "pptx",
    ),
)


class Stripped(NamedTuple):
    """A document without macros, and what it is now."""

    content: bytes
    kind: Kind


def strip_macros(document: bytes, budget: Budget) -> Stripped | None:
    """The document without its macros, or None when that is not safe or there are none. Raises BudgetError."""
    if not document.startswith(b"PK\x03\x04"):
        return None
    package = attempt(zipfile.ZipFile, io.BytesIO(document))
    if not isinstance(package, zipfile.ZipFile):
        return None
    with package:
        members = _members(package, budget)
    kind = next((kind for kind in _KINDS if kind.main.encode() in members.get(_TYPES, b"")), None)
    if kind is None or any(name.lower().startswith(_SHEETS) for name in members):
        return None
    dropped = _macro_parts(members)
    kept = {name: _without(name, content, kind) for name, content in members.items() if name not in dropped}
    return Stripped(_packed(kept), kind) if dropped and _is_sound(kept) else None


def _members(package: zipfile.ZipFile, budget: Budget) -> dict[str, bytes]:
    """Every member; nothing of a package that two readers could see in different ways, or that cannot be read."""
    found: dict[str, bytes] = {}
    known: set[str] = set()
    for info in package.infolist():
        budget.content(info.file_size, info.filename)
        budget.time(info.filename)
        content = attempt(package.read, info)
        if not isinstance(content, bytes) or info.flag_bits & _ENCRYPTED or info.filename.lower() in known:
            return {}
        known.add(info.filename.lower())
        if not info.is_dir():
            found[info.filename] = content
    return found


def _entries(content: bytes) -> Iterable[Mapping[str, str]]:
    """The attributes of every element of a list of types or relationships; of XML with a DTD, which could grow, or of no XML, nothing."""
    tree = attempt(ET.fromstring, content) if b"<!" not in content else None
    return [element.attrib for element in tree.iter()] if isinstance(tree, ET.Element) else []


def _is_macro(entry: Mapping[str, str]) -> bool:
    return _MACRO in entry.get("ContentType", "").lower() or _MACRO in entry.get("Type", "").rpartition("/")[2].lower()


def _macro_parts(members: Mapping[str, bytes]) -> frozenset[str]:
    """The names of all parts that belong to macros: by content type, by relationship, by the name that Office gives them."""
    found = {name for name in members if posixpath.basename(name).lower().startswith(_MACRO)}
    found |= {entry.get("PartName", "").removeprefix("/") for entry in _entries(members[_TYPES]) if _is_macro(entry)}
    for name, content in members.items():
        if match := _RELATIONSHIPS.fullmatch(name):
            targets = [entry.get("Target", "") for entry in _entries(content) if _is_macro(entry)]
            found |= {posixpath.normpath(posixpath.join("/", match[1] or "", target))[1:] for target in targets}
    beside = {posixpath.join(posixpath.dirname(name), "_rels", f"{posixpath.basename(name)}.rels") for name in found}
    return frozenset(found | beside) & members.keys()


def _without(name: str, content: bytes, kind: Kind) -> bytes:
    """A list of types or relationships without the entries of macros; every other part as it is."""
    if name != _TYPES and _RELATIONSHIPS.fullmatch(name) is None:
        return content
    left = _ENTRY.sub(lambda entry: b"" if _names_macro(entry[0]) else entry[0], content)
    return left.replace(kind.main.encode(), kind.plain.encode())


def _names_macro(entry: bytes) -> bool:
    """Whether an entry as it is written names macros; the prefix of its name is of no account, and not declared in one entry alone."""
    return any(_is_macro(attributes) for attributes in _entries(re.sub(rb"^<\w+:", b"<", entry)))


def _is_sound(members: Mapping[str, bytes]) -> bool:
    """Whether no list names macros any more, and each part has a type."""
    lists = [name for name in members if name == _TYPES or _RELATIONSHIPS.fullmatch(name)]
    entries = {name: list(_entries(members[name])) for name in lists}
    if any(not found or any(_is_macro(entry) for entry in found) for found in entries.values()):
        return False
    typed = {entry.get("PartName", "").removeprefix("/").lower() for entry in entries[_TYPES]}
    endings = {entry.get("Extension", "").lower() for entry in entries[_TYPES]} - {""}
    return all(name == _TYPES or name.lower() in typed or name.lower().rpartition(".")[2] in endings for name in members)


def _packed(members: Mapping[str, bytes]) -> bytes:
    """A package of these members; without times, so that the same members always give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
