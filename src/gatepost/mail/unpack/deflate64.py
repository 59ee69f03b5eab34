"""Deflate64 (ZIP method 9): deflate with a 64 KiB window, one long length code and two more distance codes.

What it does: decodes it in plain code, since zlib refuses to. Slow (about 1 MB/s), which the budget's clock bounds.
Not its job: ordinary deflate (`decompress.inflate`).
Raises: `UnpackError` when the stream is damaged or ends early.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.mail.unpack.opened import UnpackError

_CHUNK = 1 << 16
_WINDOW = 1 << 16
_END = 256
_MAX_BITS = 15
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_LENGTHS = (
    *((n + 3, 0) for n in range(8)),
    *((3 + (8 << extra >> 1) + (step << extra), extra) for extra in range(1, 6) for step in range(4)),
    (3, 16),
)
_DISTANCES = (*((n + 1, 0) for n in range(4)), *(((2 + half << extra) + 1, extra) for extra in range(1, 15) for half in range(2)))
_DYNAMIC = 2

Table = dict[tuple[int, int], int]


def _codes(lengths: list[int]) -> Table:
    """Canonical Huffman codes: (length, code) to symbol (RFC 1951 3.2.2)."""
    code, table = 0, {}
    for size in range(1, _MAX_BITS + 1):
        for symbol, length in enumerate(lengths):
            if length == size:
                table[size, code] = symbol
                code += 1
        code <<= 1
    return table


_FIXED = _codes([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), _codes([5] * 32)


class _Bits:
    """Bits of a buffer, the low ones first."""

    __slots__ = ("_at", "_count", "_data", "_hold")

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = self._hold = self._count = 0

    def take(self, count: int) -> int:
        while self._count < count:
            if self._at >= len(self._data):
                raise UnpackError("the Deflate64 stream ends early")
            self._hold |= self._data[self._at] << self._count
            self._at += 1
            self._count += 8
        value = self._hold & ((1 << count) - 1)
        self._hold >>= count
        self._count -= count
        return value

    def symbol(self, table: Table) -> int:
        code = 0
        for size in range(1, _MAX_BITS + 1):
            code = code << 1 | self.take(1)
            found = table.get((size, code))
            if found is not None:
                return found
        raise UnpackError("the Deflate64 stream is damaged: no such code")

    def align(self) -> None:
        self._hold >>= self._count % 8
        self._count -= self._count % 8


def inflate64(data: memoryview) -> Iterator[bytes]:
    """The chunks of a raw Deflate64 stream."""
    bits, out, sent = _Bits(data), bytearray(), 0
    last = 0
    while not last:
        last, kind = bits.take(1), bits.take(2)
        for _ in _block(bits, kind, out):
            if len(out) - sent >= _CHUNK:
                yield bytes(out[sent:])
                sent = len(out)
            if len(out) > 4 * _WINDOW and sent == len(out):
                del out[:-_WINDOW]
                sent = len(out)
    yield bytes(out[sent:])


def _block(bits: _Bits, kind: int, out: bytearray) -> Iterator[None]:
    if kind == 0:
        yield from _stored(bits, out)
        return
    if kind > _DYNAMIC:
        raise UnpackError("the Deflate64 stream is damaged: no such block")
    literals, distances = _tables(bits) if kind == _DYNAMIC else _FIXED
    while (symbol := bits.symbol(literals)) != _END:
        if symbol < _END:
            out.append(symbol)
        else:
            _copy(bits, symbol, distances, out)
        yield


def _stored(bits: _Bits, out: bytearray) -> Iterator[None]:
    bits.align()
    length = bits.take(16)
    bits.take(16)
    for _ in range(length):
        out.append(bits.take(8))
        yield


def _copy(bits: _Bits, symbol: int, distances: Table, out: bytearray) -> None:
    if symbol - 257 >= len(_LENGTHS):
        raise UnpackError("the Deflate64 stream is damaged: no such length")
    base, extra = _LENGTHS[symbol - 257]
    length = base + bits.take(extra)
    base, extra = _DISTANCES[bits.symbol(distances)]
    distance = base + bits.take(extra)
    if distance > len(out):
        raise UnpackError("the Deflate64 stream is damaged: a distance before its beginning")
    for _ in range(length):
        out.append(out[-distance])


def _tables(bits: _Bits) -> tuple[Table, Table]:
    literals, distances, count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    sizes = [0] * 19
    for index in range(count):
        sizes[_ORDER[index]] = bits.take(3)
    table = _codes(sizes)
    lengths: list[int] = []
    while len(lengths) < literals + distances:
        symbol = bits.symbol(table)
        if symbol < 16:  # noqa: PLR2004 - RFC 1951 3.2.7
            lengths.append(symbol)
            continue
        if symbol == 16 and not lengths:  # noqa: PLR2004
            raise UnpackError("the Deflate64 stream is damaged: nothing to repeat")
        repeated = lengths[-1] if symbol == 16 else 0  # noqa: PLR2004
        base, extra = {16: (3, 2), 17: (3, 3), 18: (11, 7)}[symbol]
        lengths += [repeated] * (base + bits.take(extra))
    return _codes(lengths[:literals]), _codes(lengths[literals : literals + distances])
