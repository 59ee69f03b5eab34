"""Who is told, how often, with what proof, and what follows when nobody reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.assess.incident import SUBJECT, TOLD, data, incident
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act.alert import Severity
from gatepost.mail.model import Envelope
from gatepost.report.alerts import SEEN, alerts
from gatepost.services.messages import Note
from gatepost.services.playground import Mailbox, free_port
from gatepost.services.teller import Teller
from gatepost.site.load import loads
from gatepost.site.model import Site

Taken = list[tuple[Envelope, bytes]]


@pytest.fixture
def taken() -> Taken:
    return []


@pytest.fixture
def site(tmp_path: Path, taken: Taken) -> Site:
    port = free_port()
    Mailbox(port, lambda envelope, content: taken.append((envelope, content))).start()
    return loads(
        f'[site]\nname = "Test"\nstate = "{tmp_path}"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "127.0.0.1:{port}"\n'
        '[alerts]\nsecond = "supervisor@widget.example"\nescalate = "1h"\ninterval = "15m"\n'
        '[[alerts.channels]]\nname = "night"\nto = ["night@widget.example"]\nleast = "critical"\ninterval = "1m"\n'
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def rounds(teller: Teller, *times: float) -> None:
    for now in times:
        asyncio.run(teller._round(now))


def receivers(taken: Taken) -> list[str]:
    return [recipient for envelope, _content in taken for recipient in envelope.recipients]


def test_a_storm_is_one_mail_an_interval_and_each_channel_hears_only_of_its_weight(site, journal, taken, tmp_path) -> None:
    teller = Teller(site, tmp_path / "alerts.json", journal)
    start = time.time()
    for _ in range(10_000):
        teller.warn("inbound virus stopped", "Eicar", Severity.INFO)
    rounds(teller, *(start + second for second in range(0, 899, 100)))
    assert receivers(taken) == ["virusalerts@widget.example"]
    assert b"  10000  inbound virus stopped: Eicar" in taken[0][1]

    teller.warn("the canary is not well", "silent", Severity.CRITICAL)
    rounds(teller, start + 900, start + 901)
    assert sorted(receivers(taken)[1:]) == ["night@widget.example", "virusalerts@widget.example"]


def test_the_second_contact_is_told_once_when_nobody_reads_and_not_when_somebody_does(site, journal, taken, tmp_path) -> None:
    teller = Teller(site, tmp_path / "alerts.json", journal)
    start = time.time()
    teller.warn("signatures are old", "clamav")
    rounds(teller, start, start + 3599, start + 3600, start + 7200)
    assert receivers(taken) == ["virusalerts@widget.example", "supervisor@widget.example"]

    teller.warn("signatures are old", "clamav")
    teller.noted(Note(SEEN, "alerts", {"by": "anna"}))
    rounds(teller, start + 8000)
    teller.noted(Note(SEEN, "alerts", {"by": "anna"}))
    rounds(teller, start + 20_000)
    assert receivers(taken)[2:] == ["virusalerts@widget.example"]


def test_the_journal_has_the_answer_of_the_next_hop_and_who_read_the_alert(site, journal, tmp_path) -> None:
    teller = Teller(site, tmp_path / "alerts.json", journal)
    teller.warn("signatures are old", "clamav")
    rounds(teller, time.time())
    (told,) = alerts(journal)

    assert told.replies == {"virusalerts@widget.example": "250 2.0.0 taken"}
    assert told.lines == ((1, "signatures are old", "clamav", ""),)
    assert not told.seen


def test_an_alert_that_nobody_takes_is_on_record_and_comes_again(site, journal, tmp_path) -> None:
    closed = site.model_copy(update={"mail": site.mail.model_copy(update={"next_hop": f"127.0.0.1:{free_port()}"})})
    teller = Teller(closed, tmp_path / "alerts.json", journal)
    teller.warn("signatures are old", "clamav")
    rounds(teller, time.time())

    assert alerts(journal)[0].failed
    assert teller._pending[""].lines


def test_what_an_employee_told_reaches_the_administrator_without_its_words(site, journal, taken, tmp_path) -> None:
    teller = Teller(site, tmp_path / "alerts.json", journal)
    teller.noted(Note(TOLD, SUBJECT, data(incident("visitor", "a man asked for the server room", "Dave"))))
    rounds(teller, time.time())

    assert b"an employee told us something" in taken[0][1]
    assert b"server room" not in taken[0][1]


def test_what_is_pending_survives_a_restart_also_from_the_form_of_earlier_versions(site, journal, tmp_path) -> None:
    teller = Teller(site, tmp_path / "alerts.json", journal)
    teller.warn("signatures are old", "clamav")
    teller.save()
    assert Teller(site, tmp_path / "alerts.json", journal)._pending[""].lines

    (tmp_path / "alerts.json").write_text('{"lines": [], "unread": 5}')
    assert Teller(site, tmp_path / "alerts.json", journal)._pending[""].unread == 5
