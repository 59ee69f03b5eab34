"""A private rspamd: one worker, the packaged rules, no network beyond loopback, no Redis. It takes about twelve seconds to start."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.mail.engines.rspamd import Rspamd
from gatepost.mail.inspect.engine import EngineError
from tests.support.ports import free_port

START_SECONDS = 240.0
SETTINGS = """
.include "$CONFDIR/common.conf"
options {{
  pidfile = "{folder}/rspamd.pid";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
  filters = "chartable,dkim,regexp,fuzzy_check";
  control_socket = "{folder}/control.sock";
  hs_cache_dir = "{folder}";
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"""


@pytest.fixture(scope="session")
def rspamd() -> Iterator[str]:
    """Give the address of one rspamd for all tests of a session."""
    if shutil.which("rspamd") is None:
        pytest.skip("needs rspamd (Debian package rspamd)")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rspamd-") as folder:
        configuration = Path(folder) / "rspamd.conf"
        configuration.write_text(SETTINGS.format(folder=folder, port=port))
        process = subprocess.Popen(
            ["rspamd", "-f", "-i", "-c", str(configuration), f"--var=DBDIR={folder}", f"--var=RUNDIR={folder}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(f"tcp:127.0.0.1:{port}", process, Path(folder))
            yield f"tcp:127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    engine = Rspamd("rspamd", {"socket": address})
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            engine.info()
        except EngineError:
            time.sleep(0.2)
        else:
            return
    log = folder / "rspamd.log"
    raise RuntimeError("rspamd did not start: " + (log.read_text() if log.exists() else "no log"))
