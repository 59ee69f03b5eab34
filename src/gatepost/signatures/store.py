"""The sets of signatures on the disk: one in use, a few old ones, changed in one step.

What it does: puts a set into a folder of its own, and makes it the one in use by renaming a symbolic link, so that whoever opens the
folder `current` sees one whole set at any moment, also after a power cut.
Not its job: judging sets (`update`).
Raises: `OSError`; after it the set in use is what it was. `RefusedError` when there is nothing to go back to.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gatepost.signatures.manifest import Manifest, RefusedError
from gatepost.system.files import make_directory, sync_directory, write_atomic

KEPT = 3
"""So many old sets are kept."""

CURRENT, LOCK = "current", ".lock"
ABOUT = ".about.json"


class Stored(msgspec.Struct, frozen=True):
    """A set on the disk: its folder's name, its version, when it was made (seconds since the epoch, 0 unknown) and when taken over."""

    name: str
    version: int
    made: float
    taken: float
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """All sets of one name, below `folder`."""

    folder: Path

    @property
    def current_path(self) -> Path:
        """The folder that engines name in their options."""
        return self.folder / CURRENT

    def current(self) -> Stored | None:
        """The set in use."""
        try:
            return _about(self.folder / self.current_path.readlink())
        except FileNotFoundError:
            return None

    def sets(self) -> list[Stored]:
        """All sets, the newest taken first."""
        found = (_about(path) for path in self.folder.glob("set-*") if (path / ABOUT).exists())
        return sorted(found, key=lambda one: (one.taken, one.name), reverse=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes these sets meanwhile; what somebody who was killed left half done is cleared away."""
        make_directory(self.folder)
        with (self.folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in (*self.folder.glob("new-*"), *self.folder.glob(f".{CURRENT}-*")):
                left.unlink() if left.is_symlink() else shutil.rmtree(left)
            yield

    @contextlib.contextmanager
    def staged(self, manifest: Manifest, files: Mapping[str, bytes]) -> Iterator[Path]:
        """A new set in a folder that nobody uses yet; it is gone after the block unless `take` took it."""
        path = self.folder / f"new-{secrets.token_hex(6)}"
        make_directory(path)
        try:
            for name, content in files.items():
                write_atomic(path / name, content)
            about = Stored(f"set-{manifest.version}-{path.name[4:]}", manifest.version, manifest.made, time.time())
            write_atomic(path / ABOUT, msgspec.json.encode(about))
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def take(self, staged: Path) -> Stored:
        """Make a staged set the one in use, and forget the oldest."""
        about = _about(staged)
        staged.rename(self.folder / about.name)
        sync_directory(self.folder)
        self.use(about)
        self._forget()
        return about

    def rollback(self) -> Stored:
        """Go back to the set before the one in use; that one is remembered as withdrawn, so that it does not come again."""
        now = self.current()
        sets = [one for one in self.sets() if not one.withdrawn]
        older = [one for one in sets if now and (one.taken, one.name) < (now.taken, now.name)]
        if now is None or not older:
            raise RefusedError("there is no older set to go back to")
        write_atomic(self.folder / now.name / ABOUT, msgspec.json.encode(msgspec.structs.replace(now, withdrawn=True)))
        self.use(older[0])
        return older[0]

    def highest(self) -> int:
        """The highest version ever taken that is still here, withdrawn ones as well: a new one must be higher."""
        return max((one.version for one in self.sets()), default=-1)

    def _forget(self) -> None:
        """Remove what is older than the oldest set that is kept; withdrawn ones do not count."""
        sets = self.sets()
        last = [one for one in sets if not one.withdrawn][: KEPT + 1][-1]
        for old in sets[sets.index(last) + 1 :]:
            shutil.rmtree(self.folder / old.name, ignore_errors=True)

    def use(self, chosen: Stored) -> None:
        """Make a set that is here the one in use."""
        link = self.folder / f".{CURRENT}-{secrets.token_hex(6)}"
        link.symlink_to(chosen.name)
        link.rename(self.current_path)
        sync_directory(self.folder)


def _about(path: Path) -> Stored:
    return msgspec.json.decode((path / ABOUT).read_bytes(), type=Stored)
