"""Quarantine: held for each recipient alone, released byte for byte to one, expired by age and size."""

from __future__ import annotations

import hashlib

import pytest

from gatepost.journal.interface import JournalError, Query
from gatepost.journal.states import State
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act.contents import ContentError, Contents
from gatepost.mail.act.quarantine import Quarantine, QuarantineError
from gatepost.mail.act.record import envelope_of, judged
from gatepost.mail.model import Decision, Direction, Disposition, Envelope, Finding, Kind, Reply, Verdict

MAIL = b"Subject: x\r\n\r\nbody without a last line end \xff\x00"
ENVELOPE = Envelope("Ann@partner.example", ("Joe@widget.example", "eve@widget.example"), recipient_parameters=(("NOTIFY=NEVER",), ()))
REPLY = Reply(250, "2.0.0", "kept")


class House:
    """A quarantine with its journal, a clock that the test moves, and what was sent."""

    def __init__(self, path) -> None:
        self.now = 1000.0
        self.sent: list[tuple[Envelope, bytes]] = []
        self.journal = SqliteJournal(path / "journal.db")
        self.contents = Contents(path / "quarantine", bytes(32))
        self.quarantine = Quarantine(self.contents, self.journal, lambda: self.now)

    def hold(self, identifier: str, data: bytes = MAIL, ends=(Disposition.QUARANTINE, Disposition.QUARANTINE)) -> None:
        verdict = Verdict((Finding(Kind.BANNED, "a.exe"),), digest=self.quarantine.keep(data), size=len(data))
        decisions = [
            Decision(one, Direction.INBOUND, end, "rule", verdict.findings) for one, end in zip(ENVELOPE.recipients, ends, strict=True)
        ]
        self.journal.append([judged(identifier, self.now, ENVELOPE, verdict, decisions, REPLY, kept=True)], sync=True)

    def send(self, envelope: Envelope, data: bytes) -> None:
        self.sent.append((envelope, data))

    def states(self, identifier: str) -> dict[str, State]:
        return {row.recipient: row.state for row in self.journal.search(Query(id=identifier))}


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.journal.close()


def test_a_held_mail_has_a_row_for_each_recipient_with_its_reason(house) -> None:
    house.hold("M1")
    assert [(row.recipient, row.state, row.reason) for row in house.quarantine.rows()] == [
        ("eve@widget.example", State.QUARANTINED, "a.exe"),
        ("joe@widget.example", State.QUARANTINED, "a.exe"),
    ]
    held = house.quarantine.show("m1")
    assert held.envelope.sender == "Ann@partner.example"
    assert house.quarantine.content("M1") == MAIL


def test_release_gives_the_very_bytes_to_one_recipient_as_it_was_addressed(house) -> None:
    house.hold("M1")
    house.quarantine.release("M1", "joe@widget.example", "admin", house.send)
    ((envelope, data),) = house.sent
    assert data == MAIL
    assert envelope.recipients == ("Joe@widget.example",)
    assert envelope.recipient_parameters == (("NOTIFY=NEVER",),)
    assert envelope.sender == "Ann@partner.example"
    assert house.states("M1") == {"joe@widget.example": State.RELEASED, "eve@widget.example": State.QUARANTINED}


def test_nothing_is_released_twice_or_to_anybody_else(house) -> None:
    house.hold("M1")
    house.quarantine.release("M1", "joe@widget.example", "admin", house.send)
    for recipient, words in (("joe@widget.example", "is released already"), ("mallory@else.example", "was not for")):
        with pytest.raises(QuarantineError, match=words):
            house.quarantine.release("M1", recipient, "admin", house.send)
    with pytest.raises(QuarantineError, match="no kept mail"):
        house.quarantine.release("../M1", "joe@widget.example", "admin", house.send)
    assert len(house.sent) == 1


def test_a_release_that_fails_leaves_the_mail_held_and_says_who_tried(house) -> None:
    house.hold("M1")

    def fail(envelope: Envelope, data: bytes) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        house.quarantine.release("M1", "joe@widget.example", "admin", fail)
    assert house.states("M1")["joe@widget.example"] is State.QUARANTINED
    assert [event.kind for event in house.quarantine.show("M1").events] == ["mail.judged", "mail.releasing"]
    house.quarantine.release("M1", "joe@widget.example", "admin", house.send)
    assert len(house.sent) == 1


def test_a_release_may_put_a_token_before_the_mail(house) -> None:
    house.hold("M1")
    house.quarantine.release(
        "M1", "eve@widget.example", "admin", house.send, lambda held, row: f"X: {held.envelope.sender} {row.rule}\r\n".encode()
    )
    assert house.sent[0][1] == b"X: Ann@partner.example rule\r\n" + MAIL


def test_the_kept_copy_of_a_refused_mail_can_be_released(house) -> None:
    house.hold("M1", ends=(Disposition.REJECT, Disposition.REJECT))
    house.quarantine.release("M1", "joe@widget.example", "admin", house.send)
    assert house.states("M1")["joe@widget.example"] is State.RELEASED


def test_bytes_go_when_the_last_recipient_is_deleted(house) -> None:
    house.hold("M1")
    digest = hashlib.sha256(MAIL).hexdigest()
    house.quarantine.delete("M1", "joe@widget.example", "admin")
    assert house.contents.get(digest) == MAIL
    house.quarantine.delete("M1", "eve@widget.example", "admin")
    with pytest.raises(ContentError):
        house.contents.get(digest)
    assert house.quarantine.rows() == []
    assert set(house.states("M1").values()) == {State.DELETED}


def test_bytes_that_another_mail_also_has_stay(house) -> None:
    house.hold("M1")
    house.hold("M2")
    for recipient in ("joe@widget.example", "eve@widget.example"):
        house.quarantine.delete("M1", recipient, "admin")
    assert house.quarantine.content("M2") == MAIL


def test_old_mail_expires_and_newer_stays(house) -> None:
    house.hold("OLD", b"old")
    house.now = 5000.0
    house.hold("NEW", b"new")
    assert house.quarantine.expire(keep=1000, size=10**6) == 1
    assert {row.id for row in house.quarantine.rows()} == {"NEW"}
    assert set(house.states("OLD").values()) == {State.DELETED}
    assert [event.data["by"] for event in (event for _, event in house.journal.events(kind="mail.deleted"))] == ["expiry", "expiry"]


def test_when_there_is_no_room_the_oldest_go_first(house) -> None:
    for number in range(5):
        house.now += 1
        house.hold(f"M{number}", bytes([number]) * 1000)
    assert house.quarantine.expire(keep=10**6, size=2200) == 3
    assert {row.id for row in house.quarantine.rows()} == {"M3", "M4"}


def test_expiry_of_what_was_released_keeps_its_state(house) -> None:
    house.hold("M1")
    house.quarantine.release("M1", "joe@widget.example", "admin", house.send)
    house.now = 10**6
    assert house.quarantine.expire(keep=1, size=10**6) == 1
    assert house.states("M1") == {"joe@widget.example": State.RELEASED, "eve@widget.example": State.DELETED}


def test_only_what_a_crash_left_over_is_swept(house) -> None:
    """A content without an event, a day old: nobody was ever answered for it."""
    house.hold("M1")
    house.contents.put(b"left over")
    assert house.quarantine.sweep() == 0
    house.now = 1e11
    assert house.quarantine.sweep() == 1
    assert house.quarantine.content("M1") == MAIL


def test_when_the_journal_refuses_nothing_is_sent(house, monkeypatch) -> None:
    """The intention must be on the disk before a mail leaves."""
    house.hold("M1")

    def refuse(events, *, sync) -> None:
        raise JournalError("locked", "locked")

    monkeypatch.setattr(house.journal, "append", refuse)
    with pytest.raises(JournalError):
        house.quarantine.release("M1", "joe@widget.example", "admin", house.send)
    assert house.sent == []


def test_the_envelope_survives_the_journal(house) -> None:
    house.hold("M1")
    assert envelope_of(house.quarantine.show("M1").events[0]) == Envelope(
        "Ann@partner.example", ENVELOPE.recipients, received=1000.0, recipient_parameters=ENVELOPE.recipient_parameters
    )
