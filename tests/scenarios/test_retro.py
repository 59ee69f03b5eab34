"""A signature that comes days after the mail: who got it is found and told once. A signature that hits too much: held, undone, released."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal
from tests.support.eicar import EICAR
from tests.support.gateway import Gateway
from tests.support.mails import mail, send
from tests.support.ports import wait_for
from tests.support.sink import Sink

STRANGER = "203.0.113.7"
CONTENT = b"a program that nobody knew on day 0\n"
LETTER = mail("Invoice", file=("invoice.dat", CONTENT))


def events(gateway: Gateway, kind: str) -> list[Event]:
    return [event for _, event in SqliteJournal(gateway.home / "state/journal.sqlite", writes=False).events(kind=kind)]


def retro(gateway: Gateway, status: int) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(gateway.command("signatures", "retro", "--json", status=status))["found"]
    return found


def test_who_got_a_mail_is_listed_when_its_signature_comes_and_told_once(gateway: Callable[..., Gateway], sink: Sink, home: Path) -> None:
    known = home / "bad.txt"
    known.write_text("# nothing yet\n")
    running = gateway(f'\n[engines.hashes]\nlists = "{known}"\n[retro]\nnotify = "recipients"\n')
    assert send(running.smtp, LETTER, forwarded=STRANGER, recipients=("joe@widget.example", "sue@widget.example"))[0] == 250
    assert send(running.smtp, mail("harmless", file=("harmless.dat", b"nothing bad")), forwarded=STRANGER)[0] == 250
    running.rows(count=3)
    assert retro(running, 0) == {}

    known.write_text(f"{hashlib.sha256(CONTENT).hexdigest()} Win.Late\n")
    (one,) = (found := retro(running, 1)).values()

    assert one["recipients"] == ["joe@widget.example", "sue@widget.example"]
    assert [(hit["name"], hit["file"]) for hit in one["hits"]] == [("Win.Late", "invoice.dat")]  # type: ignore[attr-defined]
    assert retro(running, 0) == {}
    assert json.loads(running.command("signatures", "retro", "--always", "--json"))["found"] == {}
    assert [event.subject for event in events(running, "retro.found")] == list(found)
    wait_for(lambda: len(sink.alerts) >= 3, "the alert and two notices")
    told = sorted(one.recipients for one in sink.alerts)
    assert told == [("joe@widget.example",), ("sue@widget.example",), ("virusalerts@widget.example",)]
    assert any(b"delivered mail turned out to be bad: Win.Late" in one.content for one in sink.alerts)
    assert any(b"File:    invoice.dat" in one.content for one in sink.alerts)


def test_every_engine_looks_again_at_copies_of_delivered_mail(gateway: Callable[..., Gateway], home: Path) -> None:
    rules = home / "late.yar"
    rules.write_text('rule nothing { strings: $a = "never to be seen" condition: $a }')
    running = gateway(f'\n[engines.yara]\nrules = "{rules}"\n[retro]\ncopies = "attachments"\n')
    assert send(running.smtp, LETTER, forwarded=STRANGER)[0] == 250
    assert send(running.smtp, mail("text only"), forwarded=STRANGER)[0] == 250
    running.rows(count=2)
    copies = [path.read_bytes() for path in (running.home / "state/retained").glob("*/*")]
    assert len(copies) == 1
    assert CONTENT not in copies[0]
    assert retro(running, 0) == {}

    rules.write_text('rule Win_Late { strings: $a = "nobody knew on day 0" condition: $a }')

    (one,) = retro(running, 1).values()
    assert [(hit["engine"], hit["name"], hit["file"]) for hit in one["hits"]] == [("yara", "Win_Late", "invoice.dat")]  # type: ignore[attr-defined]
    assert one["recipients"] == ["bob@widget.example"]


BRAKE = """
[engines.yara]
rules = "{rules}"
[engines.second]
kind = "yara"
[brake]
hits = 3
share = 0.0
"""


def test_a_signature_that_hits_too_much_is_held_then_undone_and_nothing_passes_that_two_hit(
    gateway: Callable[..., Gateway], sink: Sink, home: Path
) -> None:
    rules = home / "broad.yar"
    rules.write_text('rule Too_Broad { strings: $a = "Kind regards" condition: $a }')
    running = gateway(BRAKE.format(rules=rules))

    def answer(subject: str, text: str = "Kind regards") -> tuple[int, str]:
        return send(running.smtp, mail(subject, text=f"{text}\n"), forwarded=STRANGER)

    assert [answer(f"refused {number}")[0] for number in range(3)] == [550] * 3
    wait_for(lambda: answer("probe")[0] == 250, "the front to hear of the brake")
    assert "kept for review" in answer("held")[1]
    assert answer("both", f"Kind regards\n{EICAR.decode()}")[0] == 550
    assert "braked" in running.command("signatures", "rates", status=1)
    assert sink.delivered == []

    told = running.command("signatures", "undo", "Too_Broad")

    assert "2 kept mails were released" in told
    assert "mails were refused because of it; their senders know" in told
    wait_for(lambda: len(sink.delivered) == 2, "the released mails")
    wait_for(lambda: "kept for review" not in answer("passes")[1], "the front to hear of it")
    assert len(sink.delivered) == 3
    assert answer("both again", f"Kind regards\n{EICAR.decode()}")[0] == 550
    assert "mails that it hits were delivered meanwhile" in running.command("signatures", "redo", "Too_Broad")
    wait_for(lambda: answer("refused again")[0] == 550, "the front to hear of it")
    assert [event.subject for kind in ("braked", "undone", "redone") for event in events(running, f"signatures.{kind}")] == [
        "Too_Broad"
    ] * 3
