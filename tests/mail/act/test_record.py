"""What an event tells of a judged mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.journal import chain
from gatepost.mail.act.record import FIRST_STATES, envelope_of, judged, text
from gatepost.mail.model import Decision, Direction, Disposition, EngineReport, EngineState, Envelope, Finding, Kind, Reply, Verdict

REPLY = Reply(250, "2.0.0", "ok")
anything = st.text(st.characters(), max_size=10)


@given(anything, anything, anything, st.lists(anything, max_size=3))
def test_whatever_a_sender_writes_becomes_an_event(sender, subject, name, recipients) -> None:
    """Lone surrogates, NUL and all: the event can be written and read again."""
    verdict = Verdict((Finding(Kind.BANNED, name, detail=name),), subject=subject, digest="00", size=1)
    decisions = [Decision(one, Direction.INBOUND, Disposition.REJECT, "r", verdict.findings) for one in recipients]
    event = judged("ID", 1.0, Envelope(sender, tuple(recipients)), verdict, decisions, REPLY)
    assert chain.read(chain.canonical(event)) == event
    assert envelope_of(event).recipients == tuple(text(one) for one in recipients)


def test_every_disposition_has_a_first_state() -> None:
    assert set(FIRST_STATES) == set(Disposition)


@pytest.mark.parametrize(("handed_on", "state"), [(True, "delivered"), (False, "accepted")])
def test_what_our_answer_delivers_is_delivered_and_the_rest_waits_for_the_next_hop(handed_on, state) -> None:
    decisions = [
        Decision("a@b", Direction.INBOUND, Disposition.DELIVER, "clean"),
        Decision("c@b", Direction.INBOUND, Disposition.QUARANTINE, "r"),
    ]
    event = judged("ID", 1.0, Envelope("", ("a@b", "c@b")), Verdict(()), decisions, REPLY, handed_on=handed_on)
    assert [one["state"] for one in event.data["recipients"]] == [state, "quarantined"]


def test_the_finding_that_decided_comes_first_and_engines_are_named() -> None:
    spam, virus = Finding(Kind.SPAM, "bulk"), Finding(Kind.VIRUS, "Eicar")
    verdict = Verdict((spam, virus), (EngineReport("clamav", "1.4.6", EngineState.FOUND, 0.1234567, "27000", "ce47"),))
    decision = Decision("a@b", Direction.INBOUND, Disposition.REJECT, "r", (virus, spam))
    data = judged("ID", 1.0, Envelope("", ("a@b",)), verdict, [decision], REPLY).data
    assert [one["name"] for one in data["findings"]] == ["Eicar", "bulk"]
    assert data["engines"] == [
        {"name": "clamav", "version": "1.4.6", "state": "found", "seconds": 0.123457, "signatures": "27000", "certificate": "ce47"}
    ]
