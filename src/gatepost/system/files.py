"""Files that survive a power cut: written whole or not at all, and on the disk when the call returns.

What it does: writes by way of a temporary file, syncs the file and its directory, and reads without following links.
Not its job: what is in the files.
Raises: `OSError`; after it the old file is untouched, and what was begun is removed where that is still possible.
"""

# Each system call stands here by its name, because tests make each of them fail in turn.
# ruff: noqa: PTH102, PTH104, PTH108
from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
from pathlib import Path

PRIVATE_FILE = 0o600
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
PRIVATE_DIRECTORY = 0o700


def sync_directory(path: Path) -> None:
    """Put the names in a directory on the disk: without this a synced file may be there after a power cut, but under no name."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path, mode: int = PRIVATE_DIRECTORY) -> None:
    """Make a directory and its parents, each synced into its own parent; nothing happens where it is there already."""
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode)
    sync_directory(path.parent)


def write_atomic(path: Path, data: bytes | memoryview, mode: int = PRIVATE_FILE, owner: tuple[int, int] | None = None) -> None:
    """Replace or make the file at `path`; when this returns it is on the disk under its name.

    With `owner` (numbers of user and group) it belongs to them, and its mode is `mode` whatever the umask.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(temporary, data, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, owner)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step, as renameat2(2) does; both must be there, on one file system."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def append(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Add to the end of a file; when this returns it is on the disk."""
    is_new = not path.exists()
    _write(path, data, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
    if is_new:
        sync_directory(path.parent)


def _write(path: Path, data: bytes | memoryview, flags: int, mode: int, owner: tuple[int, int] | None = None) -> None:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        if owner is not None:
            os.fchown(fd, *owner)
            os.fchmod(fd, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def read(path: Path) -> bytes:
    """All bytes of a plain file; a symbolic link in its place is an error."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        return file.read()


def remove(path: Path) -> None:
    """Remove a file for good; nothing happens where there is none."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync_directory(path.parent)
