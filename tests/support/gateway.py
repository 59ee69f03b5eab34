"""A whole gateway as a user runs it: `gatepost mail serve` with a site file of its own, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from gatepost.journal.interface import Query, Row
from gatepost.journal.states import State
from gatepost.journal.store import SqliteJournal
from gatepost.services.keeper import ask_once
from gatepost.services.messages import Health, Look
from tests.support.ports import answers, free_port, wait_for

SITE = """
[site]
name = "Test"
state = "{home}/state"
run = "{home}/run"

[zones.internet]
external = true

[zones.internal]
prefixes = ["192.168.3.0/24"]

[mail]
domains = ["widget.example"]
next_hop = "127.0.0.1:{next_hop}"
relay_from = ["internal"]
workers = 2

[mail.smtp]
listen = "127.0.0.1:{smtp}"

[mail.milter]
listen = "unix:{home}/milter.sock"
mode = "0666"

[alerts]
interval = "1h"
{extra}
"""


@dataclass
class Gateway:
    """Runs until `stop`. `extra` are further lines of the site file, `scan_workers` their number (0: the default); `program` stands in place of `-m gatepost`, to run it broken."""

    home: Path
    next_hop: int
    extra: str = ""
    smtp: int = field(default_factory=free_port)
    scan_workers: int = 2
    program: tuple[str, ...] = ("-m", "gatepost")

    def start(self) -> Gateway:
        self.write(self.extra)
        self._log = (self.home / "log").open("ab")
        command = [sys.executable, *self.program, "mail", "serve", "--one-user", "--site", str(self.site)]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        wait_for(lambda: self.process.poll() is not None or self._greets(), "the gateway to take mail", 60)
        assert self.process.poll() is None, self.log()
        return self

    def _greets(self) -> bool:
        return answers(self.smtp) and (self.home / "milter.sock").exists() and (self.home / "run/keeper.sock").exists()

    @property
    def site(self) -> Path:
        return self.home / "site.toml"

    @property
    def milter(self) -> str:
        """The milter socket, as Postfix and Sendmail name it."""
        return f"unix:{self.home}/milter.sock"

    def write(self, extra: str) -> None:
        """Write the site file anew."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o755)
        text = SITE.format(home=self.home, next_hop=self.next_hop, smtp=self.smtp, extra=extra)
        self.site.write_text(text.replace("workers = 2", f"workers = {self.scan_workers}"))

    def children(self, name: str = "") -> list[int]:
        """Processes of the gateway whose name, as ps(1) shows it, begins with `name`: "keeper", "front", "scan worker"."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in found if _name(int(pid)).startswith(name)]

    def only(self, name: str) -> int:
        """The one process of that name, as soon as it has it: a fork is called as its parent at first."""
        wait_for(lambda: len(self.children(name)) == 1, f"one {name}")
        return self.children(name)[0]

    def command(self, *arguments: str, status: int = 0) -> str:
        """Run `gatepost` on this site."""
        command = [sys.executable, "-m", "gatepost", *arguments, "--site", str(self.site)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == status, f"{arguments}: {result.stdout}\n{result.stderr}\n{self.log()}"
        return result.stdout

    def rows(self, seconds: float = 10.0, count: int = 0) -> list[Row]:
        """All mails of the journal for each recipient, oldest first; waits until there are `count` and the next hop's answers are written too."""
        end = time.monotonic() + seconds
        while True:
            journal = SqliteJournal(self.home / "state/journal.sqlite", writes=False)
            rows = journal.search(Query(limit=100_000))[::-1]
            settled = len(rows) >= count and not any(row.state is State.ACCEPTED for row in rows)
            if settled or time.monotonic() > end:
                return rows
            time.sleep(0.05)

    def workers(self) -> int:
        """How many scan workers the front last told of."""
        health = ask_once(self.home / "run/keeper.sock", Look())
        return health.beat.workers if isinstance(health, Health) and health.beat else 0

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-6000:]

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the gateway did not end\n{self.log()}") from None
        finally:
            self._log.close()


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""
