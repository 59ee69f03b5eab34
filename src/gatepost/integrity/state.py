"""Where the integrity room keeps what it must remember, and how it is written.

    keys/host.key   signs reports and ledger      baseline         in force, signed
    ledger          signed chain of acceptances   reports/N.report signed chain of reports
    run/            parts of a running check      lock             held while a run goes on
    heartbeat       of the live watch

Not its job: what is in the files.
Raises: `OSError`, `StateError`, and those of the readers that it calls.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gatepost.integrity import ledger as ledgers
from gatepost.integrity.ledger import Ledger
from gatepost.integrity.sign import PublicKey, Signer, load_key, make_key, public_key
from gatepost.system import files


class StateError(Exception):
    """Another run holds the lock, or the state folder cannot be used."""


@dataclass(frozen=True)
class State:
    """The folder of one host. `pinned` is the key that the site demands for the baseline, `strict` whether for the ledger too."""

    folder: Path
    pinned: str = ""
    strict: bool = False

    @property
    def baseline(self) -> Path:
        """The baseline in force."""
        return self.folder / "baseline"

    @property
    def pending(self) -> Path:
        """A baseline that waits for its signature."""
        return self.folder / "baseline.pending"

    @property
    def reports(self) -> Path:
        """The folder of reports."""
        return self.folder / "reports"

    @property
    def run(self) -> Path:
        """The folder of a run that goes on."""
        return self.folder / "run"

    @property
    def heartbeat(self) -> Path:
        """The sign of life of the live watch."""
        return self.folder / "heartbeat"

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.folder, self.folder / "keys", self.reports):
            files.make_directory(folder)

    def host_key(self) -> Signer:
        """The key of this host, made at first use."""
        path = self.folder / "keys" / "host.key"
        return load_key(path) if path.exists() else make_key(path)

    def baseline_keys(self) -> tuple[PublicKey, ...]:
        """The keys that may sign a baseline."""
        return (public_key(self.pinned),) if self.pinned else (self.host_key().public,)

    def ledger_keys(self) -> tuple[PublicKey, ...]:
        """The keys that may sign the ledger."""
        pinned = (public_key(self.pinned),) if self.pinned else ()
        return pinned if self.strict and pinned else (*pinned, self.host_key().public)

    def ledger(self) -> Ledger:
        """The whole ledger, verified. Raises chain.ChainError."""
        path = self.folder / "ledger"
        lines = files.read(path).splitlines(keepends=True) if path.exists() else []
        return ledgers.read(lines, self.ledger_keys())

    def add(self, record: ledgers.Record, signer: Signer) -> None:
        """Put a record at the end of the ledger."""
        files.append(self.folder / "ledger", ledgers.written(self.ledger(), record, signer))

    def report_path(self, sequence: int) -> Path:
        """The file of report number `sequence`."""
        return self.reports / f"{sequence:06d}.report"

    def last_report(self) -> Path | None:
        """The newest report."""
        return max(self.reports.glob("[0-9]*.report"), default=None)

    def read_head(self) -> tuple[int, str] | None:
        """Number and digest of the newest report, as noted beside the chain; None before the first."""
        path = self.folder / "head"
        if not path.exists():
            return None
        number, _, digest = path.read_text("ascii").strip().partition(" ")
        return (int(number), digest) if number.isdigit() else (0, "")

    def write_head(self, sequence: int, digest: str) -> None:
        """Note the newest report."""
        files.write_atomic(self.folder / "head", f"{sequence} {digest}\n".encode("ascii"))

    def clear_run(self) -> None:
        """Throw away the parts of a run."""
        shutil.rmtree(self.run, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this host. Raises StateError when somebody else does."""
        opened = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise StateError(f"another integrity run is going on here ({self.folder / 'lock'} is held); wait for it to end") from error
        finally:
            os.close(opened)
