"""Decompressing in bounded steps, with the count of packed bytes that were used.

What it does: one iterator over the chunks of a compressed stream, for every method that has no container of its own.
Not its job: budgets (`Opened.gather` spends for each chunk), file formats (`streams`, `zip`).
Raises: `UnpackError` when a stream is damaged, ends early or wants too much memory.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

from gatepost.mail.unpack.opened import UnpackError

CHUNK = 1 << 20
_FEED = 1 << 18
_LZMA_MEMORY = 100 << 20
_ZSTD_WINDOW = 1 << 26
_ZSTD_FEED = 512
_ZSTD_SKIPPABLE = 0x184D2A50


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Zlib:
    """zlib's decoder with the manners of bz2's and lzma's."""

    __slots__ = ("_inner", "_tail")

    def __init__(self, bits: int) -> None:
        self._inner = zlib.decompressobj(bits)
        self._tail = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._inner.decompress(self._tail + data, max_length)
        self._tail = self._inner.unconsumed_tail
        return out


class Stream:
    """The chunks of one compressed stream; `consumed` afterwards says how many packed bytes belonged to it."""

    __slots__ = ("_data", "_decoder", "consumed")

    def __init__(self, decoder: _Decoder, data: memoryview) -> None:
        self._decoder = decoder
        self._data = data
        self.consumed = 0

    def __iter__(self) -> Iterator[bytes]:
        decoder, data, fed = self._decoder, self._data, 0
        while not decoder.eof:
            if decoder.needs_input and fed >= len(data):
                self.consumed = fed
                raise UnpackError("the compressed stream ends early")
            piece = bytes(data[fed : fed + _FEED]) if decoder.needs_input else b""
            fed += len(piece)
            try:
                chunk = decoder.decompress(piece, CHUNK)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
                self.consumed = fed
                raise UnpackError(f"the compressed stream is damaged: {error}") from None
            if chunk:
                yield chunk
        self.consumed = fed - len(decoder.unused_data)


def inflate(data: memoryview, bits: int = -15) -> Stream:
    """Deflate: raw (RFC 1951) by default, 15 for zlib (RFC 1950), 31 for gzip (RFC 1952)."""
    return Stream(_Zlib(bits), data)


def bunzip2(data: memoryview) -> Stream:
    """One bzip2 stream."""
    return Stream(bz2.BZ2Decompressor(), data)


def unxz(data: memoryview) -> Stream:
    """One xz or LZMA-alone stream."""
    return Stream(lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_LZMA_MEMORY), data)


def unlzma_raw(data: memoryview, properties: bytes) -> Stream:
    """A headerless LZMA1 stream with its five property bytes. Raises UnpackError when they are impossible."""
    first = properties[0] if len(properties) >= 5 else 255  # noqa: PLR2004 - the property bytes of the LZMA specification
    dictionary = int.from_bytes(properties[1:5], "little")
    if first >= 9 * 5 * 5 or dictionary > _LZMA_MEMORY:
        raise UnpackError("LZMA properties are impossible or want too much memory")
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": first % 9, "lp": first // 9 % 5, "pb": first // 45}]
    try:
        return Stream(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters), data)
    except (lzma.LZMAError, ValueError) as error:
        raise UnpackError(f"LZMA properties are impossible: {error}") from None


def unzstd(data: memoryview) -> Iterator[bytes]:
    """All Zstandard frames in a row (RFC 8878); what is none ends them. A step of input grows to 16 MiB at most."""
    at = 0
    while not at or _is_frame(data[at : at + 4]):
        frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        while not frame.eof:
            piece = bytes(data[at : at + _ZSTD_FEED])
            if not piece:
                raise UnpackError("the Zstandard stream ends early")
            at += len(piece)
            try:
                yield frame.decompress(piece)
            except zstandard.ZstdError as error:
                raise UnpackError(f"the Zstandard stream is damaged: {error}") from None
        at -= len(frame.unused_data)


def _is_frame(magic: memoryview) -> bool:
    number = int.from_bytes(magic, "little")
    return number == zstandard.MAGIC_NUMBER or number & ~15 == _ZSTD_SKIPPABLE
