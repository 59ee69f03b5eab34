"""A private PostgreSQL on a Unix socket in a folder of its own, run by an ordinary user; from its unpacked packages or as installed."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.ports import wait_for

TREE = Path(__file__).resolve().parents[2] / ".cache/postgresql"
BIN = Path("usr/lib/postgresql/15/bin")
USER = "nobody"
"""Who runs the server where the tests run as root, as whom it will not run."""

SETTINGS = {"listen_addresses": "", "fsync": "off", "jit": "off", "log_min_messages": "fatal", "max_connections": "60"}
"""`fsync` is off: what tests of one store compare is not what a power cut leaves."""

_NUMBERS = itertools.count(1)


@dataclass
class Postgresql:
    """A server that runs until `stop`; `database` makes a new one."""

    programs: Path
    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    _server: subprocess.Popen[bytes] | None = None

    @property
    def _as(self) -> dict[str, object]:
        return {} if os.geteuid() else {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": ()}

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": str(TREE / "usr/lib/x86_64-linux-gnu")}

    def make(self) -> None:
        """Make the cluster; skips the test where it cannot be had."""
        command = [self.programs / "initdb", "-D", self.home / "data", "-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8"]
        try:
            subprocess.run(command, check=True, capture_output=True, env=self._environment, cwd="/", **self._as)  # type: ignore[call-overload]
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"").decode() or str(error)
            pytest.skip(f"needs a PostgreSQL that {USER} can run (scripts/postgresql-tree): {said.strip()[-300:]}")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [part for name, value in (SETTINGS | self.settings).items() for part in ("-c", f"{name}={value}")]
        self._server = subprocess.Popen(
            [self.programs / "postgres", "-D", self.home / "data", "-k", self.home, *options],
            env=self._environment,
            cwd="/",
            stdout=(self.home / "out").open("ab"),
            stderr=subprocess.STDOUT,
            **self._as,  # type: ignore[call-overload]
        )
        wait_for(self.answers, "PostgreSQL to answer")

    def answers(self) -> bool:
        """Whether it takes a connection."""
        return not self._psql("postgres", "SELECT 1", check=False).returncode

    def stop(self, how: int = signal.SIGINT) -> None:
        """End the server: SIGINT at once but in order, SIGQUIT as if it had crashed."""
        if self._server:
            self._server.send_signal(how)
            self._server.wait(30)
            self._server = None

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(_NUMBERS)}"
        self.run("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str, user: str = "owner") -> str:
        """The URL of a database for a user."""
        return f"postgresql://{user}@/{name}?host={self.home}"

    def run(self, database: str, sql: str) -> str:
        """Run SQL as the owner; gives what psql prints."""
        return self._psql(database, sql, check=True).stdout

    def _psql(self, database: str, sql: str, *, check: bool) -> subprocess.CompletedProcess[str]:
        command = [self.programs / "psql", "-h", self.home, "-U", "owner", "-d", database, "-v", "ON_ERROR_STOP=1", "-qAtc", sql]
        return subprocess.run(command, check=check, capture_output=True, text=True, env=self._environment)


def programs() -> Path:
    """The folder of PostgreSQL's programs; skips the test when there is none."""
    for folder in (Path("/") / BIN, TREE / BIN):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    pytest.skip("needs PostgreSQL 15 (scripts/postgresql-tree unpacks it for the tests)")


def begun(**settings: str) -> Postgresql:
    """A new server in a new folder; `ended` removes it."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install gatepost[postgresql]")
    found = programs()
    home = Path(tempfile.mkdtemp(prefix="gatepost-pg-"))
    if not os.geteuid():
        shutil.chown(home, USER)
    server = Postgresql(found, home, settings)
    server.make()
    server.start()
    return server


def ended(server: Postgresql) -> None:
    """Stop the server and remove its folder."""
    server.stop()
    shutil.rmtree(server.home)
