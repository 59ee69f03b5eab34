"""The lawful hold: nothing is read without two signatures over this very hold, within its scope and time, and every step is on record."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.journal import judged, recipient

from gatepost.integrity.sign import Signer, make_key
from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act.contents import Contents
from gatepost.services import holds, keys
from gatepost.services.holds import Hold, HoldError
from gatepost.site.load import loads
from gatepost.site.model import Site

pytest.importorskip("pyrage", reason="needs gatepost[hold]")

MAIL = b"From: bob@widget.example\r\n\r\nthe drawings\r\n"
DIGEST = hashlib.sha256(MAIL).hexdigest()
NOW = 1_800_000_000.0
WANTED = Hold("HOLD1", "bob@widget.example", NOW - 1000, NOW + 1000, NOW + 86_400, "court order", "anna")


class Court:
    """Two approvers and a stranger, with the keys of each."""

    def __init__(self, folder: Path) -> None:
        self.signers: dict[str, Signer] = {name: make_key(folder / f"{name}.key") for name in ("director", "council", "stranger")}
        self.identities = {name: holds.new_identity() for name in ("director", "council")}
        sections = (
            f'[hold.approvers.{name}]\nkey = "{self.signers[name].public.text}"\nage = "{public}"\n'
            for name, (_private, public) in self.identities.items()
        )
        self.site = loads(
            f'[site]\nname = "Test"\nstate = "{folder}"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "127.0.0.1:25"\n'
            + "".join(sections)
        )


@pytest.fixture
def court(tmp_path: Path) -> Court:
    return Court(tmp_path)


@pytest.fixture
def journal(tmp_path: Path, court: Court) -> Iterator[SqliteJournal]:
    """A journal with one mail to Bob and one to somebody else, both kept."""
    opened = SqliteJournal(tmp_path / "journal.sqlite")
    kept = Contents(tmp_path / "quarantine", keys.secret(tmp_path / "keys", "quarantine"))
    for number, who in enumerate(("bob@widget.example", "carol@widget.example")):
        content = MAIL if who.startswith("bob") else b"private"
        event = judged(number, recipients=[recipient(who)], digest=kept.put(content))
        opened.append([Event(NOW, event.kind, event.subject, event.data)], sync=False)
    yield opened
    opened.close()


def ask(court: Court, journal: SqliteJournal, hold: Hold = WANTED) -> None:
    journal.append([Event(NOW, holds.ASKED, hold.id, holds.asked(court.site.hold, hold, NOW))], sync=False)


def approve(court: Court, journal: SqliteJournal, who: str, hold: Hold = WANTED) -> None:
    journal.append([Event(NOW, holds.APPROVED, hold.id, holds.approval(court.site.hold, hold, court.signers[who]))], sync=False)


def test_two_approvals_open_the_mails_in_scope_to_those_two_together_only(court, journal, tmp_path) -> None:
    ask(court, journal)
    approve(court, journal, "director")
    approve(court, journal, "council")
    data = holds.collect(court.site, journal, "HOLD1", NOW + 1)
    (file,) = (tmp_path / "holds/HOLD1").iterdir()
    director, council = (court.identities[name][0] for name in ("director", "council"))

    assert data["digests"] == [DIGEST]
    assert b"drawings" not in file.read_bytes()
    assert holds.opened(file.read_bytes(), [director, council]) == holds.opened(file.read_bytes(), [council, director]) == MAIL
    for alone in ([director], [council], [director, director]):
        with pytest.raises(HoldError, match="both"):
            holds.opened(file.read_bytes(), alone)


@pytest.mark.parametrize("who", [[], ["director"], ["director", "director"]])
def test_fewer_than_two_approvers_open_nothing(court, journal, tmp_path, who: list[str]) -> None:
    ask(court, journal)
    for one in who:
        approve(court, journal, one)
    with pytest.raises(HoldError, match="nothing is read"):
        holds.collect(court.site, journal, "HOLD1", NOW + 1)
    assert not (tmp_path / "holds").exists()


def test_a_stranger_cannot_approve_and_a_forged_or_moved_signature_does_not_count(court, journal) -> None:
    ask(court, journal)
    with pytest.raises(HoldError, match="none of the site"):
        approve(court, journal, "stranger")
    forged = court.signers["stranger"].sign(holds.statement(WANTED)).hex()
    moved = court.signers["director"].sign(holds.statement(replace(WANTED, address="carol@widget.example"))).hex()
    for signature in (forged, moved, "zz", ""):
        journal.append([Event(NOW, holds.APPROVED, "HOLD1", {"who": "director", "signature": signature})], sync=False)

    assert holds.one_hold(court.site.hold, journal, "HOLD1", NOW).approved == ()


def test_a_hold_ends_by_itself_and_when_somebody_ends_it(court, journal) -> None:
    ask(court, journal)
    approve(court, journal, "director")
    approve(court, journal, "council")
    with pytest.raises(HoldError, match="expired"):
        holds.collect(court.site, journal, "HOLD1", WANTED.expires)
    journal.append([Event(NOW, holds.ENDED, "HOLD1", {"by": "anna"})], sync=False)
    with pytest.raises(HoldError, match="ended"):
        holds.collect(court.site, journal, "HOLD1", NOW + 1)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(WANTED, address="@widget.example"[1:]),
        replace(WANTED, why=" "),
        replace(WANTED, until=WANTED.since),
        replace(WANTED, expires=NOW),
        replace(WANTED, expires=NOW + 91 * 86_400),
    ],
)
def test_a_hold_without_address_reason_time_or_end_is_refused(court, wrong: Hold) -> None:
    with pytest.raises(HoldError):
        holds.asked(court.site.hold, wrong, NOW)


def test_without_two_approvers_in_the_site_file_there_are_no_holds(court) -> None:
    one = court.site.hold.model_copy(update={"approvers": {"director": court.site.hold.approvers["director"]}})
    for section in (one, Site.model_fields["hold"].default):
        with pytest.raises(HoldError, match="switched off"):
            holds.asked(section, WANTED, NOW)


def test_a_step_that_was_altered_in_the_journal_is_seen(court, journal, tmp_path) -> None:
    ask(court, journal)
    approve(court, journal, "director")
    assert [event.kind for event in holds.audit(journal, "HOLD1")] == [holds.ASKED, holds.APPROVED]
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute("UPDATE events SET body = replace(body, 'court order', 'curiosity') WHERE kind = ?", (holds.ASKED,))
    with pytest.raises(JournalError):
        holds.audit(journal, "HOLD1")


def test_what_approvers_read_is_what_they_sign() -> None:
    for word in ("bob@widget.example", "court order", "anna", "HOLD1"):
        assert word in holds.words(WANTED)
        assert word.encode() in holds.statement(WANTED)
