"""Notices go to our own people only."""

from __future__ import annotations

import pytest

from gatepost.mail.act.notice import WORDS, compose_notice, wants_notice
from gatepost.mail.model import Decision, Direction, Disposition, Envelope, Finding, Kind

HELD = Decision("ann@customer.example", Direction.OUTBOUND, Disposition.QUARANTINE, "r", (Finding(Kind.BANNED, "a.exe"),))
ENVELOPE = Envelope("joe@widget.example", ("ann@customer.example",))


@pytest.mark.parametrize(
    ("sender", "decision", "inside", "ours", "wanted"),
    [
        ("joe@widget.example", HELD, True, True, True),
        ("joe@widget.example", HELD, False, True, False),
        ("joe@else.example", HELD, True, False, False),
        ("", HELD, True, True, False),
        ("joe@widget.example", Decision("a@b", Direction.OUTBOUND, Disposition.REJECT, "r"), True, True, False),
        ("joe@widget.example", Decision("a@b", Direction.INBOUND, Disposition.QUARANTINE, "r"), True, True, False),
    ],
)
def test_only_a_sender_of_ours_whose_mail_is_held_is_told(sender, decision, inside, ours, wanted) -> None:
    """Never a stranger: the address may be forged."""
    assert wants_notice(Envelope(sender, ()), [decision], inside=inside, ours=ours) == wanted


def test_the_notice_says_for_whom_why_and_what_to_do_and_cannot_bounce() -> None:
    envelope, mail = compose_notice("0ABC", ENVELOPE, [HELD], "postmaster@widget.example", 1.0)
    assert (envelope.sender, envelope.recipients) == ("", ("joe@widget.example",))
    assert b"For:     ann@customer.example\r\nBecause: it carries a kind of file that may not be sent\r\nNumber:  0ABC" in mail
    assert b"a.exe" not in mail


def test_there_are_words_for_every_kind() -> None:
    assert set(WORDS) == set(Kind)
