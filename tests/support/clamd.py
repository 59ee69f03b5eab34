"""A private clamd with signatures of our own making: the EICAR file and a marker. Any user may run it; it needs no network."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatepost.mail.engines.wire import Address, Wire
from gatepost.mail.inspect.engine import EngineError
from tests.support.eicar import EICAR, MARKER

START_SECONDS = 60.0
DEFAULT = "MaxThreads 4\n"


@dataclass(frozen=True)
class Clamd:
    """A running clamd: its Unix socket, its folder, its process."""

    socket: Path
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"unix:{self.socket}"


def write_signatures(folder: Path) -> None:
    """Write the signature set: body signatures for any file type, anywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"Test.{name}:0:*:{body.hex()}\n" for name, body in (("EICAR", EICAR), ("Marker", MARKER))]
    (folder / "test.ndb").write_text("".join(lines))


@contextmanager
def running_clamd(settings: str = "", home: Path | None = None) -> Iterator[Clamd]:
    """Run clamd with further lines of clamd.conf until the block ends; in the folder `home` one can start again where another ended."""
    if shutil.which("clamd") is None:
        pytest.skip("needs clamd (Debian package clamav-daemon)")
    with nullcontext(str(home)) if home else tempfile.TemporaryDirectory(prefix="clamd-") as path:
        folder = Path(path)
        write_signatures(folder / "db")
        (folder / "clamd.conf").write_text(
            f"DatabaseDirectory {folder}/db\nLocalSocket {folder}/clamd.sock\nTemporaryDirectory {folder}\n"
            f"LogFile {folder}/clamd.log\nForeground yes\n{settings or DEFAULT}"
        )
        process = subprocess.Popen(["clamd", "-c", str(folder / "clamd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        clamd = Clamd(folder / "clamd.sock", folder, process)
        try:
            _wait(clamd)
            yield clamd
        finally:
            process.kill()
            process.wait()


def _wait(clamd: Clamd) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and clamd.process.poll() is None:
        try:
            with Wire(Address.parse(clamd.address), time.monotonic() + 5) as wire:
                wire.send(b"zPING\0")
                if wire.rest(16) == b"PONG\0":
                    return
        except EngineError:
            time.sleep(0.05)
    log = clamd.folder / "clamd.log"
    raise RuntimeError("clamd did not start: " + (log.read_text() if log.exists() else "no log"))


@pytest.fixture(scope="session")
def clamd() -> Iterator[Clamd]:
    """One clamd for all tests of a session."""
    with running_clamd() as running:
        yield running
