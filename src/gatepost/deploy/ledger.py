"""What was deployed: one state file that changes as a whole, a record for each transaction, and the contents of all files before and after.

What it does: everything that must be true together (who owns which file, what is under way, how each transaction ended) is in the one
file state.json, so that a power cut leaves the one or the other state and nothing between.
Not its job: what the transactions do (`transaction`).
Raises: `LedgerError` for a state file that cannot be understood; `OSError`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from gatepost.deploy.machine import DeployError
from gatepost.deploy.plan import Present, digest
from gatepost.system.files import make_directory, read, write_atomic

Phase = Literal["writing", "waiting", "undoing"]
T = TypeVar("T")


class LedgerError(DeployError):
    """The ledger is damaged; the text names the file."""


class Kept(msgspec.Struct, frozen=True):
    """A file by the digest of its content, with mode and owner."""

    digest: str
    mode: int
    uid: int
    gid: int


class Step(msgspec.Struct, frozen=True):
    """One file of a transaction, and whether it was Gatepost's own before and is so after."""

    path: str
    before: Kept | None
    after: Kept | None
    was_ours: bool = False
    is_ours: bool = True


class Record(msgspec.Struct, frozen=True):
    """A transaction: when it began (seconds since the epoch), its files, and the commands by which daemons take them up."""

    number: int
    at: float
    steps: tuple[Step, ...]
    commands: tuple[tuple[str, ...], ...]
    title: str = ""
    session: str = ""
    """The login that made it; its confirmation must come over another one. "" where that shows nothing."""
    undoes: int = 0
    """The change that this one rolls back, 0 when it is none."""


class Pending(msgspec.Struct, frozen=True):
    """The transaction that is under way, and until when it waits for its confirmation."""

    number: int
    phase: Phase
    deadline: float = 0.0


class State(msgspec.Struct, frozen=True):
    """What is true now. `owned` has the digest of each file as it was last written; `ends` says how each transaction ended."""

    last: int = 0
    owned: dict[str, str] = msgspec.field(default_factory=dict)
    pending: Pending | None = None
    ends: dict[int, str] = msgspec.field(default_factory=dict)


class Ledger:
    """The ledger in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who deploys; waits for another."""
        make_directory(self.folder)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def state(self) -> State:
        """What is true now."""
        path = self.folder / "state.json"
        return _decode(path, State) if path.exists() else State()

    def save(self, state: State) -> None:
        """Make this true; the one step that decides between old and new."""
        write_atomic(self.folder / "state.json", msgspec.json.encode(state))

    def record(self, number: int) -> Record:
        """A transaction by its number."""
        path = self._record(number)
        if not path.exists():
            raise DeployError(f"there is no change number {number}; gatepost history lists them")
        return _decode(path, Record)

    def keep(self, files: Iterable[Present]) -> None:
        """Keep the contents of files, before anything else is touched."""
        make_directory(self.folder / "contents")
        for file in files:
            path = self.folder / "contents" / digest(file.content)
            if not path.exists():
                write_atomic(path, file.content)

    def write(self, record: Record) -> None:
        """Keep a transaction."""
        make_directory(self.folder / "records")
        write_atomic(self._record(record.number), msgspec.json.encode(record))

    def file(self, kept: Kept | None) -> Present | None:
        """A kept file with its content. Raises LedgerError when its content is not what it was."""
        if kept is None:
            return None
        content = read(self.folder / "contents" / kept.digest)
        if digest(content) != kept.digest:
            raise LedgerError(f"{self.folder / 'contents' / kept.digest} is damaged; restore it from a backup")
        return Present(content, kept.mode, kept.uid, kept.gid)

    def _record(self, number: int) -> Path:
        return self.folder / "records" / f"{number:06}.json"


def kept(file: Present | None) -> Kept | None:
    """A file as the ledger keeps it."""
    return Kept(digest(file.content), file.mode, file.uid, file.gid) if file else None


def _decode(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(read(path), type=kind)
    except msgspec.DecodeError as error:
        raise LedgerError(f"{path} cannot be understood ({error}); restore it from a backup") from None
