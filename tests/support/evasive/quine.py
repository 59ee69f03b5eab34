"""A ZIP archive whose one member is the archive itself, so that it can be opened without end.

The stream is a program of two instructions, after R. Cox, "Zip Files All The Way Down": a stored block prints the bytes that follow, a
copying block repeats the last bytes printed. Each instruction takes five bytes. The check sum, which the archive holds itself, is
solved for: CRC-32 is linear over its bits.
"""

from __future__ import annotations

import struct
import zlib

_NAME = b"q.zip"
_UNIT = 5
_HEAD = 60


def _say(size: int) -> bytes:
    """A stored block of `size` bytes without the bytes (RFC 1951 3.2.4)."""
    return struct.pack("<BHH", 0, size, size ^ 0xFFFF)


def _copies(distance: int, *sizes: int, last: bool = False, empty: bool = False) -> bytes:
    """A block of copies in the fixed code (RFC 1951 3.2.6), with an empty block behind it to fill the unit."""
    bits = "1" if last else "0"
    bits += "10" + "".join(_length(size) + _distance(distance) for size in sizes) + "0" * 7 + ("010" + "0" * 7 if empty else "")
    filled = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return bytes(int(filled[at : at + 8][::-1], 2) for at in range(0, len(filled), 8))


def _length(size: int) -> str:
    if size < 11:
        return f"{size - 2:07b}"
    extra = (size - 3).bit_length() - 3
    code = 4 * extra + (size - 3 >> extra) + 1
    return f"{code:07b}" + f"{(size - 3) & ((1 << extra) - 1):0{extra}b}"[::-1]


def _distance(size: int) -> str:
    extra = (size - 1).bit_length() - 2
    code = 2 * extra + (size - 1 >> extra)
    return f"{code:05b}" + f"{(size - 1) & ((1 << extra) - 1):0{extra}b}"[::-1]


def _layout(check: int, stamp: int) -> bytes:
    """The archive with any check sum: header, program, directory."""
    draft = _assemble(bytes(_HEAD), bytes(46 + len(_NAME) + 22))
    size = _HEAD + len(draft) + 46 + len(_NAME) + 22
    shared = struct.pack("<HHHHHIIIH", 20, 0, 8, 0, stamp, check, len(draft), size, len(_NAME))
    extra = struct.pack("<HH", 0x4741, _HEAD - 30 - len(_NAME) - 4).ljust(_HEAD - 30 - len(_NAME), b"\0")
    head = b"PK\3\4" + shared + struct.pack("<H", len(extra)) + _NAME + extra
    entry = b"PK\1\2" + struct.pack("<H", 20) + shared + struct.pack("<HHHHII", 0, 0, 0, 0, 0, 0) + _NAME
    tail = entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), _HEAD + len(draft), 0)
    return head + _assemble(head, tail) + tail


def _assemble(head: bytes, tail: bytes) -> bytes:
    """The program that prints `head`, itself and `tail`."""
    whole = len(head) + _UNIT
    first, four, one = _say(whole), _say(4 * _UNIT), _say(_UNIT)
    again, repeat, twice = _copies(whole, whole, empty=True), _copies(20, 10, 10), _copies(20, 5, 5)
    final = 4 + len(tail)
    end = _copies(final, final, last=True)
    close = _say(final)
    rows = (
        (first, head, first), (again,), (one, again), (one, one), (four, again, one, one, four), (repeat,), (four, repeat, four, repeat, four),
        (repeat,), (four, twice, close, twice, close), (twice,), (close, end, tail), (end,),
    )  # fmt: skip
    return b"".join(b"".join(row) for row in rows)


def quine() -> bytes:
    """The archive. Of every four time stamps about one has a check sum that can be solved for."""
    return next(_layout(check, stamp) for stamp in range(1000) if (check := _solved(stamp)) is not None)


def _solved(stamp: int) -> int | None:
    """The check sum that the archive has when it holds it, by elimination over the 32 bits."""
    base = zlib.crc32(_layout(0, stamp))
    rows = [(zlib.crc32(_layout(1 << bit, stamp)) ^ base ^ 1 << bit, 1 << bit) for bit in range(32)]
    found = base, 0
    for bit in range(32):
        pivot = next((row for row in rows if row[0] >> bit & 1), None)
        if pivot is None:
            if found[0] >> bit & 1:
                return None
            continue
        rows = [_without(row, pivot, bit) for row in rows if row is not pivot]
        found = _without(found, pivot, bit)
    return found[1]


def _without(row: tuple[int, int], pivot: tuple[int, int], bit: int) -> tuple[int, int]:
    return (row[0] ^ pivot[0], row[1] ^ pivot[1]) if row[0] >> bit & 1 else row
