"""Formats that libarchive reads out of memory: 7z, rar, cab, lha, cpio, ar, ISO 9660, xar, and a few compressions.

What it does: yields every file of such an archive, with all passwords that the mail suggests.
Not its job: ZIP and tar, which can be read in several ways and are read here by own code (`zip`, `tar`).
Raises: `BudgetError`.

After an error in a file's data nothing more is asked of libarchive: going on has crashed it, and a second reader is asked anyway.
Only named formats and filters are switched on: some filters of libarchive would start a program.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_longlong, c_size_t, c_void_p, cast, string_at

import libarchive
from libarchive import ffi

from gatepost.mail.model import Kind
from gatepost.mail.unpack.opened import Member, Opened, Reader, UnpackError
from gatepost.mail.unpack.streams import inner_name

logging.getLogger("libarchive").setLevel(logging.CRITICAL)  # its warnings are a sender's words; what matters becomes a finding
_LARGEST_PIECE = 1 << 20
_ENCRYPTED_TEXTS = ("passphrase", "encrypt", "password", "Crypto")
_UNSUPPORTED_TEXTS = ("unsupported", "not supported", "solid", "multivolume")


def reader(*formats: str, filters: tuple[str, ...] = ()) -> Reader:
    """A reader for these formats of libarchive, behind these filters."""

    def read(opened: Opened) -> Iterator[Member]:
        return _members(opened, formats, filters)

    return read


def filter_reader(name: str) -> Reader:
    """A reader for a file that is one compressed stream."""

    def read(opened: Opened) -> Iterator[Member]:
        for member in _members(opened, ("raw",), (name,)):
            yield Member(inner_name(opened), member.data)

    return read


@contextmanager
def _archive(data: memoryview, formats: tuple[str, ...], filters: tuple[str, ...], passwords: tuple[str, ...]) -> Iterator[int]:
    pointer = ffi.read_new()
    try:
        for name in filters:
            ffi.get_read_filter_function(name)(pointer)
        for name in formats:
            ffi.get_read_format_function(name)(pointer)
        for password in passwords:
            ffi.read_add_passphrase(pointer, password.encode())
        buffer = bytes(data)
        ffi.read_open_memory(pointer, cast(c_char_p(buffer), c_void_p), len(buffer))
        yield pointer
    finally:
        ffi.read_free(pointer)


def _members(opened: Opened, formats: tuple[str, ...], filters: tuple[str, ...]) -> Iterator[Member]:
    seen = 0
    try:
        with _archive(opened.body, formats, filters, opened.passwords) as pointer:
            while (entry := _next(pointer)) is not None:
                opened.budget.time(opened.part.path)
                seen += 1
                name = _name(entry, seen)
                gathered = opened.gather(_blocks(pointer))
                if gathered.error:
                    _complain(opened, name, gathered.error)
                if gathered.data or not gathered.error:
                    yield Member(name, gathered.data)
                if gathered.error:
                    return
    except libarchive.ArchiveError as error:
        _complain(opened, "", str(error.msg))


def _next(pointer: int) -> int | None:
    entry = c_void_p()
    status = ffi.read_next_header(pointer, byref(entry))
    return None if status == ffi.ARCHIVE_EOF else entry.value


def _name(entry: int, number: int) -> str:
    wide = ffi.entry_pathname_w(entry)
    if wide is not None:
        return str(wide)
    raw = ffi.entry_pathname(entry)
    return raw.decode("utf-8", "replace") if raw else f"member{number}"


def _blocks(pointer: int) -> Iterator[bytes]:
    """The data of the current file without holes, in pieces that a budget can follow."""
    place, size, offset = c_void_p(), c_size_t(), c_longlong()
    try:
        while ffi.read_data_block(pointer, byref(place), byref(size), byref(offset)) != ffi.ARCHIVE_EOF:
            for at in range(0, size.value, _LARGEST_PIECE):
                yield string_at((place.value or 0) + at, min(_LARGEST_PIECE, size.value - at))
    except libarchive.ArchiveError as error:
        raise UnpackError(str(error.msg)) from None


def _complain(opened: Opened, name: str, error: str) -> None:
    about = f"'{name}': " if name else ""
    if any(text in error for text in _ENCRYPTED_TEXTS):
        opened.find(Kind.ENCRYPTED, "archive-encrypted", f"{about}encrypted, and no password in the mail opens it")
    elif any(text in error.lower() for text in _UNSUPPORTED_TEXTS):
        opened.find(Kind.UNCHECKED, "archive-unsupported", f"{about}{error}")
    else:
        opened.find(Kind.UNCHECKED, "archive-damaged", f"{about}{error}")
