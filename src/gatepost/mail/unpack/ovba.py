"""VBA sources as they are stored: the compression of MS-OVBA 2.4.1.

What it does: decompresses a container, and finds the compressed source inside a module's stream.
Not its job: judging macros (the engine for macros does).
Raises: `UnpackError` when a container is damaged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost.mail.unpack.opened import UnpackError

_CHUNK = 4096
_OFFSET_RECORD = re.compile(rb"\x31\x00\x04\x00\x00\x00(.{4})", re.DOTALL)


def decompress(data: bytes) -> bytes:
    """The content of a compressed container (MS-OVBA 2.4.1.3.1)."""
    if data[:1] != b"\x01":
        raise UnpackError("the VBA container has no signature")
    out, at = bytearray(), 1
    while at + 2 <= len(data):
        header = int.from_bytes(data[at : at + 2], "little")
        if header >> 12 & 7 != 3:  # noqa: PLR2004 - MS-OVBA 2.4.1.1.5
            break
        stop = min(at + (header & 0xFFF) + 3, len(data))
        if header >> 15:
            _chunk(data, at + 2, stop, out)
        else:
            out += data[at + 2 : at + 2 + _CHUNK]
        at = stop
    return bytes(out)


def _chunk(data: bytes, at: int, stop: int, out: bytearray) -> None:
    """One chunk of tokens (MS-OVBA 2.4.1.3.2)."""
    begin = len(out)
    while at < stop:
        flags, at = data[at], at + 1
        for bit in range(8):
            if at >= stop:
                return
            if not flags >> bit & 1:
                out.append(data[at])
                at += 1
                continue
            token, at = int.from_bytes(data[at : at + 2], "little"), at + 2
            _copy(token, begin, out)


def _copy(token: int, begin: int, out: bytearray) -> None:
    bits = max((len(out) - begin - 1).bit_length(), 4)
    length, distance = (token & (0xFFFF >> bits)) + 3, (token >> (16 - bits)) + 1
    if distance > len(out):
        raise UnpackError("the VBA container is damaged: a distance before its beginning")
    for _ in range(length):
        out.append(out[-distance])


def module_offsets(directory: bytes) -> tuple[int, ...]:
    """Where in their streams the sources of the modules begin, from a decompressed dir stream (MS-OVBA 2.3.4.2.3.2.5)."""
    return tuple(dict.fromkeys(int.from_bytes(found, "little") for found in _OFFSET_RECORD.findall(directory)))


def sources(stream: bytes, offsets: tuple[int, ...]) -> Iterator[bytes]:
    """Every text that decompresses from a module's stream, at the offsets that the directory names and where a source usually begins."""
    usual = [match.start() for match in re.finditer(rb"\x01..\x00Attribut", stream, re.DOTALL)]
    for at in dict.fromkeys([*(n for n in offsets if n < len(stream)), *usual[:8]]):
        try:
            text = decompress(stream[at:])
        except UnpackError:
            continue
        if text:
            yield text
