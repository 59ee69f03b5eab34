"""The stream filters of PDF (ISO 32000-1 7.4) that need no picture decoder.

What it does: one chunk iterator for a chain of filters.
Not its job: finding streams (`pdf`).
Raises: `UnpackError` when a stream is damaged or a filter is not known.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator

from gatepost.mail.unpack.decompress import inflate
from gatepost.mail.unpack.opened import UnpackError

_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_CLEAR, _END, _FIRST, _MOST_CODES = 256, 257, 258, 4096
_PIECE = 1 << 16


def _hex(data: memoryview) -> Iterator[bytes]:
    digits = bytes(data).split(b">")[0].translate(None, _NOT_HEX)
    yield bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def _ascii85(data: memoryview) -> Iterator[bytes]:
    text = re.sub(rb"\s", b"", bytes(data).removeprefix(b"<~").split(b"~>")[0])
    try:
        yield base64.a85decode(text)
    except ValueError as error:
        raise UnpackError(f"a stream in ASCII85 is damaged: {error}") from None


def _run_length(data: memoryview) -> Iterator[bytes]:
    at, out = 0, bytearray()
    while at < len(data) and data[at] != 128:  # noqa: PLR2004 - end of data
        length = data[at]
        if length < 128:  # noqa: PLR2004 - a literal run
            out += data[at + 1 : at + 2 + length]
            at += 2 + length
        else:
            out += bytes(data[at + 1 : at + 2]) * (257 - length)
            at += 2
        if len(out) > _PIECE:
            yield bytes(out)
            out.clear()
    yield bytes(out)


def _lzw(data: memoryview) -> Iterator[bytes]:
    """LZW with codes of 9 to 12 bits, the high bits first, lengthened one code early."""
    table: list[bytes] = []
    width, hold, count, previous, out = 9, 0, 0, b"", bytearray()
    for byte in data:
        hold, count = (hold << 8 | byte) & 0xFFFFFF, count + 8
        if count < width:
            continue
        count -= width
        code = hold >> count & ((1 << width) - 1)
        if code == _END:
            break
        if code == _CLEAR:
            table, width, previous = [bytes((n,)) for n in range(256)] + [b"", b""], 9, b""
            continue
        entry = table[code] if code < len(table) else previous + previous[:1]
        if previous and len(table) < _MOST_CODES:
            table.append(previous + entry[:1])
        previous = entry
        width = min(12, max(9, (len(table) + 1).bit_length()))
        out += entry
        if len(out) > _PIECE:
            yield bytes(out)
            out.clear()
    yield bytes(out)


_FILTERS: dict[bytes, Callable[[memoryview], Iterable[bytes | memoryview]]] = {
    b"Crypt": lambda data: (data,),  # what was encrypted is not any more when a stream comes here
    b"FlateDecode": lambda data: inflate(data, 15),
    b"Fl": lambda data: inflate(data, 15),
    b"ASCIIHexDecode": _hex,
    b"AHx": _hex,
    b"ASCII85Decode": _ascii85,
    b"A85": _ascii85,
    b"RunLengthDecode": _run_length,
    b"RL": _run_length,
    b"LZWDecode": _lzw,
    b"LZW": _lzw,
}
PICTURES = frozenset({b"DCTDecode", b"DCT", b"JPXDecode", b"CCITTFaxDecode", b"CCF", b"JBIG2Decode"})


def decode(
    data: memoryview, filters: tuple[bytes, ...], join: Callable[[Iterable[bytes | memoryview]], bytes]
) -> Iterable[bytes | memoryview]:
    """The chunks behind all filters; `join` spends the budget for the steps between. Stops before the first picture filter."""
    chunks: Iterable[bytes | memoryview] = (data,)
    for number, name in enumerate(filters):
        if name in PICTURES:
            break
        if name not in _FILTERS:
            raise UnpackError(f"a stream has the filter {name.decode('latin-1')}, which is not known here")
        chunks = _FILTERS[name](data)
        if number + 1 < len(filters):
            data = memoryview(join(chunks))
            chunks = (data,)
    return chunks
