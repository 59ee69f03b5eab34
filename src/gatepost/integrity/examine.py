"""A close look at one object: content, flags, extended attributes, link target. The dear part of a full check.

Objects are opened without following links, without waiting for a writer and without touching access times. What changes while it is
read is read again; what keeps changing, or cannot be read, gets a problem, never a silent gap.
Raises: nothing; every `OSError` becomes `Entry.problem`, except that an object that has vanished gives None.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import blake3

from gatepost.integrity import attributes as at
from gatepost.integrity.entry import UNREAD, Entry, path_of, stat_of
from gatepost.integrity.walk import Seen

_GET_FLAGS: Final = 0x80086601
"""FS_IOC_GETFLAGS (ioctl_iflags(2)) on 64-bit machines."""
_SHOWN_FLAGS: Final = 0xFFFFFFFF & ~(0x80000 | 0x10000000 | 0x800000 | 0x400000 | 0x200000 | 0x1000 | 0x800)
"""All but the flags that the file system sets for its own sake: extents, inline data and the like."""
_CHUNK: Final = 1 << 18
"""Bytes read at a time: what fits into the processor's cache is hashed from there."""

_TRIES: Final = 3
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_UNSUPPORTED: Final = (25, 38, 95, 22)
"""ENOTTY, ENOSYS, EOPNOTSUPP, EINVAL: this file system has no such thing."""


class Hash(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: memoryview, /) -> object:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """The digest so far."""
        ...


ALGORITHMS: Final[dict[str, Callable[..., Hash]]] = {"sha256": hashlib.sha256, "blake3": blake3.blake3}


class Examiner:
    """Looks closely with one hash algorithm; keeps one buffer, so use one for each process."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._new = ALGORITHMS[algorithm]
        self._buffer = memoryview(bytearray(_CHUNK))
        self._vector = [self._buffer]
        self._flags = array.array("l", [0])
        self._quiet = os.O_NOATIME if os.geteuid() == 0 else 0
        self.bytes_read = 0

    def look(self, seen: Seen, *, prefix: int | None = None) -> Entry | None:
        """The whole entry, or None when the object is gone. For a growing file `prefix` is how many bytes its former digest covers."""
        mode = seen.stat.mode
        if seen.problem:
            return self._entry(seen, problem=seen.problem)
        try:
            if stat.S_ISREG(mode):
                return self._file(seen, prefix)
            if stat.S_ISDIR(mode):
                return self._directory(seen)
            return self._other(seen)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._entry(seen, problem=error.strerror or str(error))

    def _file(self, seen: Seen, prefix: int | None) -> Entry | None:
        wants = seen.rule.attributes
        for _ in range(_TRIES):
            opened = self._open(seen, _OPEN)
            try:
                content = self._digest(opened, seen, prefix) if wants & (at.CONTENT | at.GROWING) else b""
                flags, xattrs = self._flags_of(opened), _xattrs(opened)
                after = os.fstat(opened)
            finally:
                os.close(opened)
            before = seen.stat
            if (
                after.st_ctime_ns == before.ctime
                and after.st_size == before.size
                and after.st_ino == before.inode
                and after.st_dev == before.volume
            ):
                return Entry(seen.key, before, content, b"", flags, xattrs, seen.mount, seen.atime)
            seen = seen._replace(stat=stat_of(after))
            if wants & at.GROWING:
                return Entry(seen.key, seen.stat, content, b"", flags, xattrs, seen.mount, seen.atime)
            if not stat.S_ISREG(after.st_mode):
                return self.look(seen)
        return self._entry(seen, problem="keeps changing while it is read")

    def _directory(self, seen: Seen) -> Entry:
        opened = self._open(seen, _OPEN | os.O_DIRECTORY)
        try:
            return Entry(seen.key, seen.stat, b"", b"", self._flags_of(opened), _xattrs(opened), seen.mount, seen.atime)
        finally:
            os.close(opened)

    def _other(self, seen: Seen) -> Entry:
        link = os.fsencode(os.readlink(seen.name, dir_fd=seen.directory)) if stat.S_ISLNK(seen.stat.mode) else b""
        xattrs = _xattrs(f"/proc/self/fd/{seen.directory}/{seen.name}")
        return Entry(seen.key, seen.stat, b"", link, UNREAD, xattrs, seen.mount, seen.atime)

    def _flags_of(self, opened: int) -> int:
        try:
            fcntl.ioctl(opened, _GET_FLAGS, self._flags)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return UNREAD
            raise
        return self._flags[0] & _SHOWN_FLAGS

    def _open(self, seen: Seen, how: int) -> int:
        try:
            return os.open(seen.name, how | self._quiet, dir_fd=seen.directory)
        except PermissionError:
            if not self._quiet:
                raise
            return os.open(seen.name, how, dir_fd=seen.directory)

    def _digest(self, opened: int, seen: Seen, prefix: int | None) -> bytes:
        growing = seen.rule.attributes & at.GROWING
        limit = (seen.stat.size if prefix is None else prefix) if growing else None
        if limit is None and seen.stat.size < _CHUNK:
            count = os.readv(opened, self._vector)
            if count == seen.stat.size:
                self.bytes_read += count
                return self._new(self._buffer[:count]).digest()
            os.lseek(opened, 0, os.SEEK_SET)
        return self._long(opened, limit)

    def _long(self, opened: int, limit: int | None) -> bytes:
        digest = self._new()
        left = limit
        while left is None or left > 0:
            room = self._buffer if left is None or left >= _CHUNK else self._buffer[:left]
            count = os.readv(opened, [room])
            if not count:
                break
            digest.update(room[:count])
            self.bytes_read += count
            left = None if left is None else left - count
        return digest.digest()

    def _entry(self, seen: Seen, problem: str) -> Entry:
        return Entry(seen.key, seen.stat, mount=seen.mount, atime=seen.atime, problem=problem)


def sha256_of(root: Path, key: bytes) -> str:
    """SHA-256 in hex of one file, "" when it is not a plain file that can be read."""
    try:
        opened = os.open(os.fsencode(root) + path_of(key), _OPEN)
    except OSError:
        return ""
    with os.fdopen(opened, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if stat.S_ISREG(os.fstat(opened).st_mode) else ""


def _xattrs(where: int | str) -> tuple[tuple[str, bytes], ...]:
    follow = not isinstance(where, str)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
        return tuple((name, os.getxattr(where, name, follow_symlinks=follow)) for name in sorted(names)) if names else ()
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return ()
        raise
