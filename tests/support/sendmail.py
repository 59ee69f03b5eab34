"""A private Sendmail from its unpacked packages: own configuration, queue and port, everything it relays goes to one next hop."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.ports import answers, free_port, wait_for

TREE = Path(__file__).resolve().parents[2] / ".cache/sendmail"
PROGRAM = TREE / "usr/libexec/sendmail/sendmail"

NAMED = ("unshare", "--uts", "sh", "-c", 'hostname relay.widget.example; exec "$@"', "sh")
"""A host name without a dot makes Sendmail wait a minute at each start, so it gets one of its own."""

CONFIGURATION = """
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confPID_FILE', `{home}/pid')dnl
define(`QUEUE_DIR', `{home}/queue')dnl
define(`STATUS_FILE', `')dnl
define(`ALIAS_FILE', `')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confDOMAIN_NAME', `relay.widget.example')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confTO_IDENT', `0')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe,TrustStickyBit')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {next_hop}')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`relay_entire_domain')dnl
FEATURE(`promiscuous_relay')dnl
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port={port}')dnl
{milters}
MAILER(`smtp')dnl
"""


@dataclass
class Sendmail:
    """Runs until `stop`. `milters` are lines of the m4 configuration."""

    home: Path
    next_hop: int
    milters: str = ""
    port: int = field(default_factory=free_port)

    def start(self) -> Sendmail:
        if os.geteuid():
            pytest.skip("needs root: a private Sendmail changes users")
        if not PROGRAM.exists() or not shutil.which("m4"):
            pytest.skip("needs Sendmail's packages unpacked (scripts/sendmail-tree) and m4")
        (self.home / "queue").mkdir(parents=True, exist_ok=True)
        (self.home / "traffic").touch()
        (self.home / "queue").chmod(0o700)
        cf = TREE / "usr/share/sendmail/cf"
        source = CONFIGURATION.format(cf=cf, home=self.home, next_hop=self.next_hop, port=self.port, milters=self.milters)
        made = subprocess.run(["m4", f"-D_CF_DIR_={cf}/"], input=source, capture_output=True, text=True, check=True)
        (self.home / "sendmail.cf").write_text(made.stdout)
        self.run()
        return self

    def run(self) -> None:
        """Start the daemon with the configuration that lies ready."""
        self._daemon = subprocess.Popen(
            [*NAMED, *self._command],
            env=self._environment,
            stdout=(self.home / "out").open("wb"),
            stderr=subprocess.STDOUT,
        )
        wait_for(lambda: answers(self.port, getattr(self, "host", "127.0.0.1")) or self._daemon.poll() is not None, "Sendmail to listen")
        assert self._daemon.poll() is None, self.log()

    @property
    def _command(self) -> list[str]:
        return [str(PROGRAM), "-bD", "-q1s", "-C", str(self.home / "sendmail.cf"), "-X", str(self.home / "traffic")]

    @property
    def _environment(self) -> dict[str, str]:
        folders = f"{TREE}/usr/lib/x86_64-linux-gnu:{TREE}/lib/x86_64-linux-gnu"
        return {"LD_LIBRARY_PATH": folders, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def queued(self) -> int:
        """How many mails wait in the queue."""
        return len(list((self.home / "queue").glob("qf*")))

    def log(self) -> str:
        return "\n".join(
            (self.home / name).read_text(errors="replace")[-3000:] for name in ("out", "traffic") if (self.home / name).exists()
        )

    def stop(self) -> None:
        self._daemon.terminate()
        self._daemon.wait(20)
