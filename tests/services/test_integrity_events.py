"""What the integrity check finds goes through the keeper into the journal, and grave things on to the administrator."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from tests.support.ports import wait_for
from typer.testing import CliRunner, Result

from gatepost.cli.integrity import app
from gatepost.integrity.notify import ALIVE, REPORT
from gatepost.integrity.silence import DEAD, MISSING
from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal
from gatepost.services import keeperd
from gatepost.services.noting import UNTOLD, Noting
from gatepost.services.silences import Silences
from gatepost.site.integrity import Integrity
from gatepost.site.load import load

HOUR = 3600.0


class Site:
    """A tree, its site file and, once `start` was called, a keeper."""

    def __init__(self, folder: Path, port: int, mails: Mailbox) -> None:
        self.mails = mails
        self.folder, self.tree, self.file = folder, folder / "tree", folder / "site.toml"
        (self.tree / "bin").mkdir(parents=True)
        (self.tree / "bin/tool").write_bytes(b"tool")
        (self.tree / "motd").write_bytes(b"hello")
        (folder / "run").mkdir()
        self.file.write_text(
            f'[site]\nname = "Test"\nstate = "{folder}/state"\nrun = "{folder}/run"\n[zones.internet]\nexternal = true\n'
            f'[mail]\ndomains = ["widget.example"]\nnext_hop = "127.0.0.1:{port}"\n[alerts]\ninterval = "1s"\n[integrity]\ncanary = "/bin/canary"\n'
            '[[integrity.rules]]\nname = "Programs"\npaths = ["/bin"]\nseverity = 100\n[[integrity.rules]]\nname = "Rest"\npaths = ["/motd"]\nseverity = 10\n'
        )
        self.pids: list[int] = []

    def start(self) -> None:
        pid = os.fork()
        if not pid:
            try:
                keeperd.run(load(self.file), self.folder / "run/keeper.sock")
            finally:
                os._exit(0)
        self.pids.append(pid)
        wait_for((self.folder / "run/keeper.sock").exists, "the keeper")

    def stop(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        self.pids.clear()

    def integrity(self, command: str, *arguments: str) -> Result:
        return CliRunner().invoke(app, [command, "--site", str(self.file), "--root", str(self.tree), *arguments])

    def journal(self) -> SqliteJournal:
        return SqliteJournal(self.folder / "state/journal.sqlite", writes=False)

    def told(self, count: int = 1) -> list[str]:
        """The lines of the alert mails that came, once there are so many."""
        wait_for(lambda: len(self.mails.alerts()) >= count, "the alert")
        return self.mails.alerts()


class Mailbox:
    """Takes the alert mails."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's name
        self.texts.append(envelope.content.decode())  # type: ignore[attr-defined]
        return "250 OK"

    def alerts(self) -> list[str]:
        return [
            line.strip().partition("  ")[2]
            for text in self.texts
            for line in text.splitlines()
            if line.strip()[:1].isdigit() and "  " in line.strip()
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hop = Controller(mailbox, hostname="127.0.0.1", port=port)
    hop.start()
    made = Site(tmp_path, port, mailbox)
    yield made
    made.stop()
    hop.stop()


def test_findings_are_in_the_journal_and_told_by_severity(site: Site) -> None:
    site.start()
    site.integrity("init")
    site.integrity("check")
    (site.tree / "bin/tool").write_bytes(b"evil")
    (site.tree / "motd").write_bytes(b"evil")
    assert site.integrity("check").exit_code == 1
    told = site.told(2)
    site.stop()
    events = site.journal().newest("integrity.", 10)[::-1]

    assert [(e.kind, e.data.get("status", e.subject)) for e in events] == [
        ("integrity.report", "well"),
        ("integrity.report", "findings"),
        ("integrity.finding", "/bin/tool"),
        ("integrity.finding", "/motd"),
    ]
    assert told == ["critical: a watched file was changed: /bin/tool", "low: a watched file was changed: /motd"]


def test_a_check_that_cannot_be_trusted_is_an_alarm(site: Site) -> None:
    site.start()
    site.integrity("init")
    (site.folder / "state/integrity/baseline").write_bytes(b"")
    assert site.integrity("check").exit_code == 2

    (told,) = site.told()
    assert told.startswith("the check of the files cannot be trusted: baseline: ")
    assert "empty" in told


def test_a_report_of_another_host_that_is_missing_or_forged_is_an_alarm(site: Site) -> None:
    site.start()
    (site.folder / "reports").mkdir()
    site.integrity("init")
    forged = site.folder / "reports/000001.report"
    for prepare in (lambda: None, lambda: forged.write_bytes(b"nonsense\n")):
        prepare()
        result = CliRunner().invoke(app, ["verify-report", str(forged.parent), "--site", str(site.file), "--max-hours", "26"])
        assert result.exit_code == 2

    assert [line.partition(":")[0] for line in site.told(2)] == ["a report about the files is forged or broken"] * 2


def test_without_a_gateway_the_exit_status_says_it_all(site: Site) -> None:
    site.integrity("init")
    (site.tree / "motd").write_bytes(b"evil")

    assert site.integrity("check").exit_code == 1


def test_a_report_and_a_watch_that_do_not_come_are_alarms_once_a_term(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    silences = Silences(Integrity(live=True), journal)
    assert silences.due(0) == []
    journal.append([Event(HOUR, REPORT, "host", {}), Event(HOUR, ALIVE, "watch", {})], sync=False)

    assert [[event.kind for event in silences.due(hours * HOUR)] for hours in (2, 3.5, 3.6, 27.1, 27.2)] == [
        [],
        [DEAD],
        [],
        [MISSING, DEAD],
        [],
    ]
    journal.append([Event(28 * HOUR, REPORT, "host", {}), Event(28 * HOUR, ALIVE, "watch", {})], sync=False)
    assert [[event.kind for event in silences.due(hours * HOUR)] for hours in (29, 55)] == [[], [MISSING, DEAD]]
    journal.close()


def test_events_wait_for_a_keeper_that_is_away_and_the_teller_never_waits(site: Site) -> None:
    noting = Noting(site.folder / "run/keeper.sock", room=3, pause=0.05)
    for number in range(20):
        noting.tell("integrity.change", f"/file{number}", {})
    site.start()
    wait_for(lambda: _count(site, "integrity.change") >= 3, "the first events")
    noting.tell("integrity.change", "/last", {})
    noting.close()

    assert site.journal().newest("integrity.change", 1)[0].subject == "/last"
    assert sum(event.data["count"] for event in site.journal().newest(UNTOLD, 9)) + _count(site, "integrity.change") == 21


def _count(site: Site, kind: str) -> int:
    return len(site.journal().newest(kind, 100))
