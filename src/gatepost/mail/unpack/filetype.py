"""What a piece of content really is, told from its bytes and never from its name.

What it does: finds the type of a buffer and every other type that some reader would find further inside (self-extractors, polyglots).
Not its job: opening anything (`readers`), judging a type (the engine for banned types).
Raises: nothing, on any bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from gatepost.mail.unpack.magic import EMBEDDED, MAGIC, TYPES, Category
from gatepost.mail.unpack.scripts import text_type
from gatepost.mail.unpack.wide import bare

__all__ = ["Sight", "category", "identify", "sights"]

_HEAD = 4096
_PDF_WINDOW = 1024
_TAIL = 66_000
_EMBEDDED_MOST = 16
_BY_START = {
    start: tuple(rows)
    for start, rows in groupby(sorted((m for m in MAGIC if m[0] == 0), key=lambda m: (m[1][:2], -len(m[1]))), key=lambda m: m[1][:2])
}
_ELSEWHERE = tuple(m for m in MAGIC if m[0])
_ELSEWHERE_EARLY = tuple(m for m in _ELSEWHERE if m[0] < 128)  # noqa: PLR2004 - what a short content can hold
_SHAPES = frozenset(b"\x5d\x30\x84\x85\xc1\x8c\x1a\0")
_NOT_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x1a\x08"))
_EMBEDDED_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "zip": lambda _: True,
    "7z": lambda start: start[6:7] == b"\0",
    "rar": lambda start: start[6:7] in {b"\0", b"\1"},
    "cab": lambda start: start[24:26] == b"\x03\x01",
    "ole": lambda start: start[28:30] == b"\xfe\xff",
    "nsis": lambda _: True,
}
_MARKUP = frozenset({"html", "svg", "hta", "wsf", "xml", "settingcontent", "library-ms"})
_TAIL_OF_SCRIPT = re.compile(rb"\n(?:(\x1f\x8b\x08)|(BZh[1-9]1AY&SY)|(\xfd7zXZ\0))")
_TAILS = ("gzip", "bzip2", "xz")
_ARC = re.compile(rb"\x1a[\x01-\x09][\x21-\x7e]{1,12}\0")
_CMS_OIDS = (bytes.fromhex("06092a864886f70d0107"), bytes.fromhex("060b2a864886f70d010910"))  # RFC 5652 and RFC 3274 content types
_VERBATIM = frozenset(
    {
        "zip",
        "tar",
        "cpio",
        "ar",
        "iso",
        "udf",
        "fat",
        "mbr",
        "gpt",
        "vhd",
        "ext",
        "ntfs",
        "7z",
        "rar",
        "cab",
        "mbox",
        "mail",
        "wim",
        "arj",
        "lha",
    }
)


@dataclass(frozen=True, slots=True)
class Sight:
    """A type seen in a buffer, and where it begins."""

    type: str
    offset: int = 0


def category(type_id: str) -> Category:
    """What a type is good for; DATA for an id that is not in the table."""
    known = TYPES.get(type_id)
    return known.category if known else Category.DATA


def identify(data: bytes) -> str:
    """The type id of `data` as its first reader sees it; "data" when nothing is known, "empty" for no bytes."""
    if not data:
        return "empty"
    head = data[:_HEAD]
    found = _magic(data, head)
    if found:
        return _refine(found, data)
    if is_text(head):
        return text_type(head)
    found = _odd(data, head)
    return _markup_with_zeros(head) if found == "data" and b"\0" in head else found


def _markup_with_zeros(head: bytes) -> str:
    """A page in UTF-16 without a mark, or with NULs, which browsers read all the same; "data" for all else."""
    text = bare(head)
    kind = text_type(text) if is_text(text) else "data"
    return kind if kind in _MARKUP else "data"


def sights(data: bytes) -> tuple[Sight, ...]:
    """The main type first, then every container that begins further inside, one of each kind but at most 16 in all."""
    main = identify(data)
    found = [Sight(main)]
    if main in {"empty", "rtf"}:
        return tuple(found)
    if main in _VERBATIM and main != "zip":
        if data.rfind(b"PK\x05\x06", max(0, len(data) - _TAIL)) >= 0:
            found.append(Sight("zip"))
        return tuple(found)
    if main not in {"zip", "jar", "apk", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm", "xlsb", "odf", "epub", "msix", "ooxml"}:
        found += _embedded(data, main)
    if main in {"shell", "interpreter-script"}:
        found += _behind_script(data)
    pdf = data.find(b"%PDF-", 1, _PDF_WINDOW)
    if pdf > 0 and main != "pdf":
        found.append(Sight("pdf", pdf))
    return tuple(found[:_EMBEDDED_MOST])


def is_text(head: bytes) -> bool:
    """Whether bytes could be text in some eight-bit charset or in UTF-16 with a mark."""
    return head[:2] in {b"\xff\xfe", b"\xfe\xff"} or len(head.translate(None, _NOT_TEXT)) == len(head)


def may_have_magic(data: bytes) -> bool:
    """A quick test: False only when bytes that are no text are "data" to `identify`, but for types told by their end or by a check sum."""
    return (
        data[:2] in _BY_START
        or data[2:4] == b"-l"
        or data[0] in _SHAPES
        or any(data.startswith(magic, at) for at, magic, _ in _ELSEWHERE_EARLY)
    )


def _magic(data: bytes, head: bytes) -> str:
    for _, magic, kind in _BY_START.get(head[:2], ()):
        if head.startswith(magic):
            if kind != "riff":
                return kind
            break
    for offset, magic, kind in _ELSEWHERE:
        if data[offset : offset + len(magic)] == magic:
            return kind
    return "riff" if head[:4] == b"RIFF" else ""


def _embedded(data: bytes, main: str) -> list[Sight]:
    found = []
    for magic, kind in EMBEDDED:
        at = data.find(magic, 1)
        if at > 0 and kind != main and _EMBEDDED_CHECKS[kind](data[at : at + 64]):
            found.append(Sight(kind, 0 if kind in {"zip", "nsis"} else at))
    return found


def _behind_script(data: bytes) -> list[Sight]:
    """What a self-extracting script cuts off its own end."""
    match = _TAIL_OF_SCRIPT.search(data)
    return [Sight(_TAILS[(match.lastindex or 1) - 1], match.start() + 1)] if match else []


def _odd(data: bytes, head: bytes) -> str:
    """Types without a fixed magic, or whose magic is at the end."""
    if head.startswith(b"#!"):
        return text_type(head.partition(b"\n")[0])
    if head[2:4] == b"-l" and head[6:7] == b"-":
        return "lha"
    if data[-512:-504] == b"conectix":
        return "vhd"
    if data[-512:-508] == b"koly":
        return "dmg"
    if _ARC.match(head):
        return "arc"
    return _disk_like(data, head) or _shaped(data, head)


def _disk_like(data: bytes, head: bytes) -> str:
    if head[510:512] == b"\x55\xaa":
        return "fat" if head[0] in {0xEB, 0xE9} else "mbr"
    if data[1080:1082] == b"\x53\xef":
        return "ext"
    return ""


def _shaped(data: bytes, head: bytes) -> str:
    if head.startswith(b"\x5d\x00\x00") and head[12:13] in {b"\x00", b"\xff"}:
        return "lzma"
    if head.startswith(b"\x30") and any(oid in head[:64] for oid in _CMS_OIDS):
        return "cms"
    if head[0] in {0x84, 0x85, 0xC1, 0x8C} and len(head) > 16:  # noqa: PLR2004 - a PGP packet tag: encrypted session key (RFC 9580 5.1)
        return "pgp-binary" if _session_key(head) else "data"
    if _old_tar(head):
        return "tar"
    if data.startswith(b"\x00" * 16) and b"CD001" in data[0x8000:0x8810]:
        return "iso"
    return "data"


def _session_key(head: bytes) -> bool:
    """Whether a public-key encrypted session key packet of version 3 or 6 starts here (RFC 9580 5.1)."""
    version = {0x84: 2, 0x85: 3, 0xC1: 2 if head[1] < 192 else 3, 0x8C: 2}[head[0]]  # noqa: PLR2004 - RFC 9580 4.2.1: lengths under 192 take one byte
    return head[version] in {3, 4, 6}


def _old_tar(head: bytes) -> bool:
    """A tar of before POSIX has no magic; its checksum tells (V7 tar)."""
    if len(head) < 512 or not head[0]:  # noqa: PLR2004 - a tar block
        return False
    field = head[148:156].strip(b" \0")
    try:
        stated = int(field, 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 256 + sum(head[156:512])


def _refine(kind: str, data: bytes) -> str:
    if kind == "zip":
        return _zip_kind(data)
    if kind == "ole":
        return _ole_kind(data)
    if kind == "java-class" and data[4:8] < b"\x00\x00\x00\x1f" and data[4:6] == b"\0\0" and 0 < data[7] < 0x1E:  # noqa: PLR2004 - a fat Mach-O counts its few machines there
        return "macho"
    if kind in {"arj", "bmp", "pe", "mp3", "gzip", "bzip2", "compress"} or (kind == "cpio" and data[:1] != b"0"):
        return kind if _plausible(kind, data) else _not_magic(data)
    return kind


def _plausible(kind: str, data: bytes) -> bool:
    """Two bytes of magic prove little."""
    if kind == "pe":
        return not is_text(data[:64]) or len(data) < 64  # noqa: PLR2004 - the DOS header
    if kind == "gzip":
        return data[2:3] == b"\x08"
    if kind == "bzip2":
        return data[3:4].isdigit()
    if kind == "compress":
        return 9 <= data[2] & 0x1F <= 16 if len(data) > 2 else False  # noqa: PLR2004 - the widths of its codes
    if kind == "arj":
        return 0 < int.from_bytes(data[2:4], "little") <= 2600  # noqa: PLR2004 - the format's own limit
    return not is_text(data[:64])


def _not_magic(data: bytes) -> str:
    head = data[:_HEAD]
    return text_type(head) if is_text(head) else "data"


def _zip_kind(data: bytes) -> str:
    if b"[Content_Types].xml" in data:
        for folder, plain, macro in ((b"word/", "docx", "docm"), (b"xl/", "xlsx", "xlsm"), (b"ppt/", "pptx", "pptm")):
            if folder in data:
                if b"xl/workbook.bin" in data:
                    return "xlsb"
                return macro if b"vbaProject" in data else plain
        return "msix" if b"AppxManifest.xml" in data else "ooxml"
    start = data[30:120]
    if start.startswith(b"mimetype"):
        return "epub" if b"epub" in start else "odf"
    if b"AndroidManifest.xml" in data:
        return "apk"
    return "jar" if b"META-INF/MANIFEST.MF" in data else "zip"


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-le")


_OLE_KINDS = (
    (_utf16("EncryptedPackage"), "office-encrypted"),
    (_utf16("__properties_version1.0"), "msg"),
    (_utf16("WordDocument"), "doc"),
    (_utf16("Workbook"), "xls"),
    (_utf16("Book"), "xls"),
    (_utf16("PowerPoint Document"), "ppt"),
    (_utf16("VisioDocument"), "visio"),
    (_utf16("Quill"), "publisher"),
    (bytes.fromhex("84100c0000000000c000000000000046"), "msi"),
    (_utf16("_VBA_PROJECT"), "vba-project"),
)


def _ole_kind(data: bytes) -> str:
    return next((kind for mark, kind in _OLE_KINDS if mark in data), "ole")
