"""A private spamd with local tests only: no network, no user settings."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.mail.engines.spamassassin import Spamassassin
from gatepost.mail.inspect.engine import EngineError

START_SECONDS = 120.0


@pytest.fixture(scope="session")
def spamd() -> Iterator[str]:
    """Give the address of one spamd for all tests of a session."""
    if shutil.which("spamd") is None:
        pytest.skip("needs spamd (Debian package spamassassin or spamd)")
    with tempfile.TemporaryDirectory(prefix="spamd-") as folder:
        Path(folder).chmod(0o755)
        socket = Path(folder) / "spamd.sock"
        command = ["spamd", "-L", "-x", "-m", "1", f"--socketpath={socket}", "--socketmode=0666", f"--helper-home-dir={folder}"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([*command, "--syslog=stderr", "--nouser-config"], stdout=log, stderr=log)
        try:
            _wait(f"unix:{socket}", process)
            yield f"unix:{socket}"
        finally:
            process.terminate()
            process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    engine = Spamassassin("spamassassin", {"socket": address})
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            engine.info()
        except EngineError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("spamd did not start")
