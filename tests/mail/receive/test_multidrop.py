"""For whom a mail out of a shared mailbox is: what the provider wrote decides, and nobody is guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.receive.multidrop import TELLING, MultidropError, addressed

OURS = frozenset({"widget.example"})
BELOW = b"Received: from a by b; now\nFrom: carol@partner.example\nTo: sales@widget.example\nCc: ann@widget.example\n\nbody\n"


@pytest.mark.parametrize(
    ("above", "recipients", "field"),
    [
        (b"X-Envelope-To: bob@widget.example\n", ("bob@widget.example",), "x-envelope-to"),
        (b"Envelope-to: <bob@WIDGET.example>\n", ("bob@widget.example",), "envelope-to"),
        (b"X-Envelope-To: <bob@widget.example>,\n\t<ann@widget.example>\n", ("bob@widget.example", "ann@widget.example"), "x-envelope-to"),
        (b"Delivered-To: bob@widget.example\nDelivered-To: drop@isp.example\n", ("bob@widget.example",), "delivered-to"),
        (b"Delivered-To: drop@isp.example\nX-Original-To: bob@widget.example\n", ("bob@widget.example",), "x-original-to"),
    ],
)
def test_the_field_of_the_provider_decides_and_a_bcc_is_right(above: bytes, recipients: tuple[str, ...], field: str) -> None:
    found = addressed(b"Return-Path: <carol@partner.example>\n" + above + BELOW, OURS)

    assert (found.sender, found.recipients, found.field) == ("carol@partner.example", recipients, field)


@pytest.mark.parametrize("above", [b"", b"Delivered-To: drop@isp.example\n", b"Delivered-To: drop\n", b"X-Envelope-To: \n"])
def test_without_a_word_of_the_provider_it_is_held_whatever_to_and_cc_say(above: bytes) -> None:
    with pytest.raises(MultidropError, match="does not say for whom"):
        addressed(above + BELOW, OURS)


@pytest.mark.parametrize("name", TELLING)
def test_what_the_sender_wrote_into_the_mail_counts_for_nothing(name: str) -> None:
    """It stands below the Received of the provider."""
    forged = BELOW.replace(b"From:", name.encode() + b": boss@widget.example\nFrom:")

    with pytest.raises(MultidropError):
        addressed(forged, OURS)
    assert addressed(b"X-Envelope-To: bob@widget.example\n" + forged, OURS).recipients == ("bob@widget.example",)


def test_a_named_field_alone_is_read() -> None:
    mail = b"Delivered-To: ann@widget.example\nX-RCPT: bob@widget.example\n" + BELOW

    assert addressed(mail, OURS, ("x-rcpt",)).recipients == ("bob@widget.example",)


def test_without_a_return_path_the_sender_is_nobody() -> None:
    """A refusal must not hit whoever stands in From."""
    assert addressed(b"X-Envelope-To: bob@widget.example\n" + BELOW, OURS).sender == ""


@given(st.binary(max_size=300))
def test_any_bytes_are_addressed_to_ours_or_held(mail: bytes) -> None:
    try:
        found = addressed(mail, OURS)
    except MultidropError:
        return
    assert all(recipient.endswith("@widget.example") for recipient in found.recipients)
