"""Which reader opens which type: the table.

What it does: maps type ids (`magic`) to the readers that open them, in the order in which they are asked; all of them are asked.
Not its job: reading (the other files of this room), following members (`walk`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gatepost.mail.model import Kind
from gatepost.mail.unpack import archive, external, streams
from gatepost.mail.unpack.cms import read_cms, read_pem, read_pgp
from gatepost.mail.unpack.html import read_folded, read_markup, read_script, read_text
from gatepost.mail.unpack.office import inspect_ooxml_part, read_compound
from gatepost.mail.unpack.onenote import read_onenote
from gatepost.mail.unpack.opened import Member, Opened, Reader
from gatepost.mail.unpack.pdf import read_pdf
from gatepost.mail.unpack.rtf import read_rtf
from gatepost.mail.unpack.tar import read_tar
from gatepost.mail.unpack.tnef import read_tnef
from gatepost.mail.unpack.zip import read_zip

_ZIPS = ("zip", "jar", "apk", "msix", "ooxml", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm", "xlsb", "odf", "epub")
_COMPOUNDS = ("ole", "doc", "xls", "ppt", "visio", "publisher", "msg", "msi", "office-encrypted", "vba-project")
_MARKUP = ("html", "svg", "hta", "wsf", "settingcontent", "library-ms")
_SCRIPTS = ("javascript", "vbscript", "powershell", "batch", "shell", "interpreter-script", "registry", "json")
_TEXTS = ("text", "inf", "url", "desktop", "iqy", "slk", "mail", "mbox", "encoded-text", "pgp-signature")


_GAVE_UP = frozenset({Kind.UNCHECKED, Kind.ENCRYPTED})


def second_opinion(first: Reader, second: Reader, only: frozenset[str] = frozenset()) -> Reader:
    """The first reader, and where it gave up the second too; what the first could not open counts only if the second could not either.

    With `only`, the second is asked for findings of these names alone.
    """

    def read(opened: Opened) -> Iterator[Member]:
        trial = replace(opened, findings=[], found=set())
        try:
            yield from first(trial)
        finally:
            missed = [found for found in trial.findings if found.kind in _GAVE_UP and (not only or found.name in only)]
            opened.findings += [found for found in trial.findings if found not in missed]
        if missed:
            again = replace(opened, findings=[], found=set())
            yield from second(again)
            opened.findings += missed if again.findings else []

    return read


# Type, and 7-Zip's name of the format ("" where the form is told by 7-Zip itself).
_SEVEN_ZIP = {
    "arj": "arj",
    "wim": "wim",
    "chm": "chm",
    "dmg": "dmg",
    "fat": "fat",
    "ntfs": "ntfs",
    "ext": "ext",
    "hfs": "hfs",
    "mbr": "mbr",
    "gpt": "gpt",
    "vhd": "vhd",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "qcow": "qcow",
    "squashfs": "squashfs",
    "nsis": "nsis",
}

READERS: dict[str, tuple[Reader, ...]] = {
    **dict.fromkeys(_ZIPS, (second_opinion(read_zip, external.seven_zip("zip"), frozenset({"zip-method"})),)),
    "tar": (read_tar,),
    "gzip": (streams.read_gzip,),
    "bzip2": (streams.read_bzip2,),
    "xz": (streams.read_xz,),
    "lzma": (streams.read_xz,),
    "lzip": (streams.read_lzip,),
    "zstd": (streams.read_zstd,),
    "skippable-frame": (streams.read_skippable,),
    "szdd": (streams.read_szdd,),
    "lz4": (archive.filter_reader("lz4"),),
    "compress": (archive.filter_reader("compress"),),
    "7z": (second_opinion(archive.reader("7zip"), external.seven_zip("7z")),),
    "rar": (second_opinion(archive.reader("rar", "rar5"), external.seven_zip()),),
    "cab": (second_opinion(archive.reader("cab"), external.seven_zip("cab")),),
    "lha": (second_opinion(archive.reader("lha"), external.seven_zip("lzh")),),
    "cpio": (archive.reader("cpio"),),
    "rpm": (archive.reader("cpio", filters=("rpm", "gzip", "bzip2", "xz", "lzma", "zstd")),),
    "ar": (archive.reader("ar"),),
    "iso": (second_opinion(archive.reader("iso9660"), external.seven_zip("iso")),),
    "udf": (external.seven_zip("udf"),),
    "xar": (archive.reader("xar"),),
    **dict.fromkeys(_COMPOUNDS, (read_compound,)),
    **dict.fromkeys(_MARKUP, (read_markup,)),
    **dict.fromkeys(_SCRIPTS, (read_script,)),
    **dict.fromkeys(_TEXTS, (read_text,)),
    "xml": (inspect_ooxml_part, read_markup),
    **dict.fromkeys(("calendar", "vcard"), (read_folded,)),
    "pdf": (read_pdf,),
    "rtf": (read_rtf,),
    "onenote": (read_onenote,),
    "tnef": (read_tnef,),
    "cms": (read_cms,),
    "pem": (read_pem,),
    "pgp-message": (read_pgp,),
    "pgp-binary": (read_pgp,),
    "activemime": (streams.read_activemime,),
    "lzop": (external.read_lzop,),
    **{kind: (external.seven_zip(name),) for kind, name in _SEVEN_ZIP.items()},
}
