"""Files that hold one compressed stream, or several in a row: gzip, bzip2, xz, LZMA, Zstandard, MS-DOS COMPRESS.

What it does: yields the whole of what comes out as one member, and what lies behind the last stream as another.
Not its job: what is in it (`walk`).
Raises: `BudgetError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gatepost.mail.model import Kind
from gatepost.mail.unpack.decompress import Stream, bunzip2, inflate, unlzma_raw, unxz, unzstd
from gatepost.mail.unpack.opened import Member, Opened, UnpackError

_SUFFIXES = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".z", ".lz", ".lz4", ".lzo")
_TAR_SUFFIXES = (".tgz", ".tbz2", ".tbz", ".txz", ".taz", ".tzst")
_STREAMS_MOST = 10_000
_FRAME_HEAD = 8
_ACTIVEMIME_LEAST, _ACTIVEMIME_MOST = 0x20, 0x100


def inner_name(opened: Opened) -> str:
    """The name that a decompressor gives its output."""
    name = opened.part.names[0] if opened.part.names else ""
    lower = name.lower()
    suffix = next((s for s in _SUFFIXES if lower.endswith(s)), "")
    if suffix:
        return name[: -len(suffix)] or "content"
    tar = next((s for s in _TAR_SUFFIXES if lower.endswith(s)), "")
    return f"{name[: -len(tar)]}.tar" if tar else "content"


def _in_a_row(opened: Opened, one: Callable[[memoryview], Stream], magic: bytes) -> Iterator[Member]:
    """Streams of one kind behind each other are one file; the rest is what a careless reader never sees."""
    rest = opened.body

    def chunks() -> Iterator[bytes]:
        nonlocal rest
        for _ in range(_STREAMS_MOST):
            stream = one(rest)
            yield from stream
            rest = rest[stream.consumed :]
            while one is unxz and len(rest) >= 4 and bytes(rest[:4]) == b"\0\0\0\0":  # noqa: PLR2004 - stream padding (xz format 2.2)
                rest = rest[4:]
            if bytes(rest[: len(magic)]) != magic:
                return
        raise UnpackError(f"more than {_STREAMS_MOST} streams in a row")

    yield Member(inner_name(opened), opened.gather_or_find(chunks()))
    if bytes(rest).strip(b"\0"):
        yield Member("trailing", rest, "trailing-bytes")


def read_gzip(opened: Opened) -> Iterator[Member]:
    """All members of a gzip file (RFC 1952 2.2). A wrong check sum or missing trailer does not stop other readers, so it does not stop this one."""
    whole = list(_in_a_row(opened, lambda data: inflate(data, 31), b"\x1f\x8b"))
    if not whole[0].data:
        start = _gzip_header(opened.body)
        yield Member(inner_name(opened), opened.gather(inflate(opened.body[start:])).data, "gzip-damaged")
    yield from whole


def _gzip_header(data: memoryview) -> int:
    """Where the deflate stream begins (RFC 1952 2.3)."""
    raw = bytes(data[:70_000])
    flags, at = raw[3] if len(raw) > 3 else 0, 10  # noqa: PLR2004
    if flags & 4:
        at += 2 + int.from_bytes(raw[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = raw.find(b"\0", at) + 1 or len(raw)
    return at + (2 if flags & 2 else 0)


def read_bzip2(opened: Opened) -> Iterator[Member]:
    """All streams of a bzip2 file."""
    return _in_a_row(opened, bunzip2, b"BZh")


def read_xz(opened: Opened) -> Iterator[Member]:
    """All streams of an xz or LZMA file."""
    return _in_a_row(opened, unxz, b"\xfd7zXZ\x00")


def read_lzip(opened: Opened) -> Iterator[Member]:
    """The first member of a lzip file; its dictionary size is coded in one byte (lzip format, "DS")."""
    coded = opened.body[5] if len(opened.body) > 5 else 0  # noqa: PLR2004
    base = 1 << (coded & 31)
    dictionary = base - base // 16 * (coded >> 5)
    properties = b"\x5d" + min(dictionary, 1 << 26).to_bytes(4, "little")
    yield Member(inner_name(opened), opened.gather_or_find(unlzma_raw(opened.body[6:], properties)))


def read_zstd(opened: Opened) -> Iterator[Member]:
    """All frames of a Zstandard file."""
    yield Member(inner_name(opened), opened.gather_or_find(unzstd(opened.body)))


def read_skippable(opened: Opened) -> Iterator[Member]:
    """What stands in frames that decoders of Zstandard and LZ4 pass over, and what stands behind them (RFC 8878 3.1.2)."""
    rest, number = opened.body, 0
    while _is_skippable(rest):
        number += 1
        end = _FRAME_HEAD + int.from_bytes(rest[4:_FRAME_HEAD], "little")
        opened.budget.time(opened.part.path)
        yield from _content(opened, f"frame{number}", rest[_FRAME_HEAD:end], "skippable-frame")
        rest = rest[end:]
    yield from _content(opened, inner_name(opened), rest, "")


def _is_skippable(data: memoryview) -> bool:
    return bytes(data[1:4]) == b"\x2a\x4d\x18" and data[0] >> 4 == 5  # noqa: PLR2004 - 0x50 to 0x5F


def _content(opened: Opened, name: str, data: memoryview, reading: str) -> Iterator[Member]:
    if data:
        opened.meter.spend(len(data))
        yield Member(name, data, reading)


def read_activemime(opened: Opened) -> Iterator[Member]:
    """The object that Office 2000 and later hide in web archives: one zlib stream behind a header of 50 bytes."""
    start = bytes(opened.body[:_ACTIVEMIME_MOST]).find(b"\x78", _ACTIVEMIME_LEAST)
    if start < 0:
        raise UnpackError("the ActiveMime object has no content")
    yield Member("object", opened.gather_or_find(inflate(opened.body[start:], 15)))


def read_szdd(opened: Opened) -> Iterator[Member]:
    """MS-DOS COMPRESS, the form of COMPRESS.EXE and that of QBasic."""
    data = opened.body
    magic = bytes(data[:4])
    if magic == b"KWAJ":
        opened.find(Kind.UNCHECKED, "format-kwaj", "a KWAJ file (MS-DOS COMPRESS) is not opened here; open it on an isolated machine")
        return
    yield Member(inner_name(opened), opened.gather_or_find(_lzss(data[14:] if magic == b"SZDD" else data[12:])))


def _lzss(data: memoryview) -> Iterable[bytes]:
    """LZSS over a ring of 4 KiB that starts as blanks."""
    ring, place, at, out = bytearray(b" " * 4096), 4096 - 16, 0, bytearray()
    while at < len(data):
        control, at = data[at], at + 1
        for bit in range(8):
            if at >= len(data):
                break
            if control >> bit & 1:
                piece, at = bytes(data[at : at + 1]), at + 1
            else:
                low, high = data[at], data[at + 1] if at + 1 < len(data) else 0
                at += 2
                piece = _from_ring(ring, low | (high & 0xF0) << 4, (high & 15) + 3, place)
            for byte in piece:
                ring[place] = byte
                place = (place + 1) & 4095
            out += piece
        if len(out) > 1 << 16:
            yield bytes(out)
            out.clear()
    yield bytes(out)


def _from_ring(ring: bytearray, start: int, length: int, place: int) -> bytes:
    """A match may run into bytes that it writes itself."""
    out = bytearray()
    for step in range(length):
        at = (start + step) & 4095
        behind = (at - place) & 4095
        out.append(out[behind] if behind < len(out) else ring[at])
    return bytes(out)
