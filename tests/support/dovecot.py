"""A private Dovecot that only checks passwords: the SASL service that Postfix asks for submission."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import wait_for

CONFIGURATION = """
base_dir = {home}/dovecot
log_path = {home}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = {home}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  user = root
  unix_listener {home}/auth {{
    mode = 0666
  }}
}}
"""


@contextmanager
def running_dovecot(home: Path, users: dict[str, str]) -> Iterator[Path]:
    """Know these names with their passwords; gives the socket."""
    if shutil.which("dovecot") is None:
        pytest.skip("needs Debian's package dovecot-core")
    (home / "dovecot").mkdir()
    (home / "users").write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users.items()))
    (home / "dovecot.conf").write_text(CONFIGURATION.format(home=home))
    process = subprocess.Popen(["dovecot", "-F", "-c", str(home / "dovecot.conf")])
    try:
        wait_for(lambda: (home / "auth").exists() or process.poll() is not None, "Dovecot's socket")
        assert process.poll() is None, (home / "dovecot.log").read_text()
        yield home / "auth"
    finally:
        process.terminate()
        process.wait(30)
