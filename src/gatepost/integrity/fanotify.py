"""fanotify(7) without a library: marks on whole file systems, events with directory, name and process.

Not its job: which events matter (`watch`).
Raises: `OSError`, also where the kernel is older than 5.17 or the caller is not root.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_CLOEXEC, _NONBLOCK, _NOTIFY = 0x1, 0x2, 0x0
_UNLIMITED_QUEUE, _REPORT_PIDFD = 0x10, 0x80
_REPORT_FID, _REPORT_DIR_FID, _REPORT_NAME = 0x200, 0x400, 0x800
_MARK_ADD, _MARK_FILESYSTEM = 0x1, 0x100
_AT_FDCWD: Final = -100

MODIFIED, ATTRIBUTES, CLOSED_WRITTEN = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATED, DELETED = 0x40, 0x80, 0x100, 0x200
OVERFLOW, ON_DIRECTORY = 0x4000, 0x40000000
INTEREST: Final = ATTRIBUTES | CLOSED_WRITTEN | MODIFIED | MOVED_FROM | MOVED_TO | CREATED | DELETED | ON_DIRECTORY

WORDS: Final = (
    (CREATED, "created"), (DELETED, "deleted"), (MOVED_FROM, "moved away"), (MOVED_TO, "moved here"),
    (CLOSED_WRITTEN, "written"), (MODIFIED, "written"), (ATTRIBUTES, "attributes changed"),
)  # fmt: skip

_EVENT: Final = struct.Struct("<IBBHQii")
_INFO: Final = struct.Struct("<BBH")
_DIRECTORY_NAME: Final = 2
_DIRECTORY_ONLY: Final = (1, 3)


class Notice(NamedTuple):
    """One event: a mask of the constants above, the path ("" unknown), and the process that did it."""

    mask: int
    path: bytes
    pid: int

    @property
    def is_overflow(self) -> bool:
        """Whether events were lost."""
        return bool(self.mask & OVERFLOW)

    @property
    def words(self) -> str:
        """What was done."""
        return ", ".join(dict.fromkeys(word for bit, word in WORDS if self.mask & bit)) or "touched"


class Group:
    """A notification group with marks on the file systems of `mounts`. `limited` keeps the kernel's bound on the queue, for tests of overflow."""

    def __init__(self, mounts: list[Path], *, limited: bool = False) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        flags = _CLOEXEC | _NONBLOCK | _NOTIFY | _REPORT_FID | _REPORT_DIR_FID | _REPORT_NAME | (0 if limited else _UNLIMITED_QUEUE)
        self.fd = self._call("fanotify_init", flags, os.O_RDONLY | os.O_CLOEXEC)
        self._roots = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in mounts]
        for path in mounts:
            self._call("fanotify_mark", self.fd, _MARK_ADD | _MARK_FILESYSTEM, ctypes.c_uint64(INTEREST), _AT_FDCWD, os.fsencode(path))

    def close(self) -> None:
        """Give everything back."""
        for fd in (self.fd, *self._roots):
            os.close(fd)

    def read(self) -> list[Notice]:
        """What has happened since the last call; nothing when nothing has."""
        try:
            data = os.read(self.fd, 1 << 18)
        except BlockingIOError:
            return []
        return list(self._events(data))

    def _events(self, data: bytes) -> Iterator[Notice]:
        place = 0
        while place + _EVENT.size <= len(data):
            length, _, _, header, mask, _, pid = _EVENT.unpack_from(data, place)
            yield Notice(mask, self._path(data[place + header : place + length]), pid)
            place += length

    def _path(self, infos: bytes) -> bytes:
        place = 0
        while place + _INFO.size <= len(infos):
            kind, _, length = _INFO.unpack_from(infos, place)
            if kind == _DIRECTORY_NAME or kind in _DIRECTORY_ONLY:
                return self._resolved(infos[place + 12 : place + length], named=kind == _DIRECTORY_NAME)
            place += length or len(infos)
        return b""

    def _resolved(self, handle: bytes, *, named: bool) -> bytes:
        """The path of a directory handle and a name in it; "" when the directory is gone."""
        size = struct.unpack_from("<I", handle)[0]
        name = handle[8 + size :].split(b"\0", 1)[0] if named else b""
        for root in self._roots:
            fd = self._libc.open_by_handle_at(root, ctypes.create_string_buffer(handle[: 8 + size]), os.O_PATH | os.O_CLOEXEC)
            if fd >= 0:
                try:
                    directory = os.fsencode(Path(f"/proc/self/fd/{fd}").readlink())
                finally:
                    os.close(fd)
                return directory.rstrip(b"/") + b"/" + name if name not in (b"", b".") else directory
        return b""

    def _call(self, name: str, *args: object) -> int:
        result: int = getattr(self._libc, name)(*args)
        if result < 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
        return result
