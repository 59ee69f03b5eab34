"""The records of a ZIP file, read from wherever they are.

What it does: parses local headers, directory records and end records (APPNOTE 4.3) at given or at all places.
Not its job: deciding which of them count (`zip`).
Raises: nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DESCRIPTOR = b"PK\x07\x08"
ENCRYPTED, STREAMED, STRONG, UTF8 = 0x1, 0x8, 0x40, 0x800
AES_METHOD = 99
_LOCAL = struct.Struct("<HHHHHIIIHH")
_CENTRAL = struct.Struct("<HHHHHHIIIHHHHHII")
_END = struct.Struct("<HHHHIIH")
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Record:
    """A local header (`start` is where its data begins) or a directory record (`start` is where it says that the local header is)."""

    at: int
    start: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    name: bytes
    extra: bytes
    end: int
    time: int = 0

    @property
    def encrypted(self) -> bool:
        """Whether the flag says so."""
        return bool(self.flags & ENCRYPTED)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a reader could show: as stored, cut at a NUL, and from a Unicode Path field (APPNOTE 4.6.9)."""
        found = [self.name]
        if b"\0" in self.name:
            found.append(self.name.split(b"\0")[0])
        found += [body[5:] for kind, body in fields(self.extra) if kind == 0x7075]  # noqa: PLR2004
        return tuple(dict.fromkeys(_decode(name) for name in found))


@dataclass(frozen=True, slots=True)
class End:
    """An end of central directory record."""

    at: int
    count: int
    size: int
    offset: int
    comment: int

    @property
    def shift(self) -> int:
        """What must be added to offsets when the directory lies directly before this record."""
        return self.at - self.size - self.offset


def _decode(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")


def fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The extra fields: id and body; stops where a length runs over."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + size]
        at += 4 + size


def zip64(extra: bytes, values: tuple[int, ...]) -> tuple[int, ...]:
    """`values` (size, packed size, offset) with each 0xFFFFFFFF replaced from the ZIP64 field (APPNOTE 4.5.3)."""
    body = next((body for kind, body in fields(extra) if kind == 1), b"")
    found, at = [], 0
    for value in values:
        if value == _FULL32 and at + 8 <= len(body):
            found.append(int.from_bytes(body[at : at + 8], "little"))
            at += 8
        else:
            found.append(value)
    return tuple(found)


def local_at(data: bytes, at: int) -> Record | None:
    """The local header at `at`, or None."""
    if at < 0 or data[at : at + 4] != LOCAL or at + 30 > len(data):
        return None
    _, flags, method, time, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack_from(data, at + 4)
    start = at + 30 + name_length + extra_length
    name = data[at + 30 : at + 30 + name_length]
    extra = data[at + 30 + name_length : start]
    if _FULL32 in (packed, size):
        size, packed = zip64(extra, (size, packed))
    return Record(at, start, flags, method, crc, packed, size, name, extra, start, time)


def central_at(data: bytes, at: int) -> Record | None:
    """The directory record at `at`, or None."""
    if at < 0 or data[at : at + 4] != CENTRAL or at + 46 > len(data):
        return None
    row = _CENTRAL.unpack_from(data, at + 4)
    flags, method, time, crc, packed, size, name_length, extra_length, comment_length = row[2], row[3], row[4], *row[6:12]
    offset = row[15]
    extra_at = at + 46 + name_length
    extra = data[extra_at : extra_at + extra_length]
    if _FULL32 in (packed, size, offset):
        size, packed, offset = zip64(extra, (size, packed, offset))
    end = extra_at + extra_length + comment_length
    return Record(at, offset, flags, method, crc, packed, size, data[at + 46 : extra_at], extra, end, time)


def end_at(data: bytes, at: int) -> End | None:
    """The end record at `at`, or None; a ZIP64 end record before it (APPNOTE 4.3.14) overrides full fields."""
    if at + 22 > len(data):
        return None
    _, _, _, count, size, offset, comment = _END.unpack_from(data, at + 4)
    if _FULL32 in (size, offset) or count == 0xFFFF:  # noqa: PLR2004
        big = data.rfind(b"PK\x06\x06", max(0, at - 1000), at)
        if big >= 0 and big + 56 <= len(data):
            count, size, offset = struct.unpack_from("<QQQ", data, big + 32)
            return End(big, count, size, offset, comment)
    return End(at, count, size, offset, comment)


def places(data: bytes, signature: bytes) -> Iterator[int]:
    """Every place of a signature, in order."""
    at = data.find(signature)
    while at >= 0:
        yield at
        at = data.find(signature, at + 4)
