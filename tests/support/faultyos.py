"""A stand-in for the module `os`: fails the n-th call, or cuts the power there, and knows what would still be on the disk."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

WATCHED = {"open", "write", "fsync", "rename", "unlink", "mkdir", "close"}


class PowerCutError(BaseException):
    """The machine stopped here. Nothing in a program can handle that."""


class FaultyOs:
    """Passes calls on to `os`, but for the n-th watched one (from 1). With `power` the machine stops there, and stays off."""

    def __init__(self, nth: int = 0, *, power: bool = False) -> None:
        self.calls: list[str] = []
        self._nth = nth
        self._power = power
        self._contents: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._watched(name, found) if name in WATCHED else found

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if self._power and self._nth and len(self.calls) >= self._nth:
                raise PowerCutError
            if len(self.calls) == self._nth:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = call(*arguments, **options)
            if name == "fsync":
                self._synced(arguments[0])
            return result

        return watched

    def _synced(self, fd: int) -> None:
        found = os.fstat(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if stat.S_ISDIR(found.st_mode):
            self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._contents[found.st_ino] = path.read_bytes()

    def on_disk(self, directory: Path) -> None:
        """Take what is in `directory` as synced long ago."""
        self._names[directory] = {entry.name: entry.inode() for entry in os.scandir(directory)}
        self._contents |= {entry.inode(): Path(entry.path).read_bytes() for entry in os.scandir(directory)}

    def survivors(self, directory: Path) -> dict[str, bytes]:
        """What a power cut now would leave in `directory`: names that were synced, with contents that were synced."""
        return {name: self._contents.get(inode, b"") for name, inode in self._names.get(directory, {}).items()}
