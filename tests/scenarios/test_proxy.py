"""The embedded default: our own SMTP listener before a next hop."""

from collections.abc import Callable

import pytest

from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, mail, send
from tests.support.sink import Sink

STRANGER, WORKSTATION = "203.0.113.7", "192.168.3.100"


def test_clean_mail_is_delivered_as_it_was_with_a_receipt_and_forged_receipts_are_gone(gateway: Callable[..., Gateway], sink: Sink) -> None:
    running = gateway()
    forged = b"X-Gatepost-Scan: id=none; clean\r\nx-gatepost-release: yes\r\n"

    assert send(running.smtp, forged + CLEAN, forwarded=STRANGER)[0] == 250

    (delivered,) = sink.wait(1)
    assert delivered.content.endswith(CLEAN)
    header = delivered.content.removesuffix(CLEAN)
    assert header.count(b"X-Gatepost-Scan: ") == 1
    assert b"none" not in header
    assert b"x-gatepost-release" not in header
    (row,) = running.rows(count=1)
    assert (row.state, row.direction, row.verdict) == ("delivered", "inbound", "clean")


@pytest.mark.parametrize("name", INFECTED)
def test_infected_mail_is_refused_in_the_dialogue_both_ways_and_kept(name: str, gateway: Callable[..., Gateway], sink: Sink) -> None:
    running = gateway()

    inbound = send(running.smtp, INFECTED[name], forwarded=STRANGER)
    outbound = send(running.smtp, INFECTED[name], sender="bob@widget.example", recipients=("carol@partner.example",), forwarded=WORKSTATION)

    assert inbound[0] == outbound[0] == 550
    assert "virus" in inbound[1]
    rows = running.rows(count=2)
    assert [(row.state, row.direction, row.kept) for row in rows] == [("rejected", "inbound", True), ("rejected", "outbound", True)]
    assert sink.delivered == []


def test_a_stranger_cannot_relay(gateway: Callable[..., Gateway], sink: Sink) -> None:
    running = gateway()

    assert send(running.smtp, CLEAN, recipients=("victim@elsewhere.example",), forwarded=STRANGER)[0] == 550
    assert sink.delivered == []


def test_the_next_hops_refusal_becomes_ours_and_nothing_is_lost(gateway: Callable[..., Gateway], sink: Sink) -> None:
    running = gateway()
    sink.reply = "451 4.3.0 not now"
    assert send(running.smtp, CLEAN, forwarded=STRANGER)[0] == 451
    sink.reply = "554 5.7.1 never"
    assert send(running.smtp, CLEAN, forwarded=STRANGER)[0] == 554
    sink.reply = "250 OK"
    assert send(running.smtp, CLEAN, forwarded=STRANGER)[0] == 250

    assert [row.state for row in running.rows(count=3)][-1] == "delivered"
    assert len(sink.delivered) == 1


def test_a_banned_file_is_held_and_its_release_reaches_only_the_named_recipient_byte_for_byte(
    gateway: Callable[..., Gateway], sink: Sink
) -> None:
    running = gateway()
    content = mail("program", file=("photo.jpg.exe", b"MZ" + bytes(300)))
    recipients = ("bob@widget.example", "eve@widget.example")
    code, text = send(running.smtp, content, recipients=recipients, forwarded=STRANGER)
    assert code == 250
    assert "kept" in text
    assert sink.delivered == []
    identifier = running.rows(count=2)[0].id

    assert "photo.jpg.exe" in running.command("quarantine", "show", identifier)
    running.command("quarantine", "release", identifier, "bob@widget.example")

    (delivered,) = sink.wait(1)
    assert delivered.recipients == ("bob@widget.example",)
    assert delivered.content == content
    states = {row.recipient: row.state for row in running.rows()}
    assert states == {"bob@widget.example": "released", "eve@widget.example": "quarantined"}


def test_without_a_next_hop_nothing_is_accepted(gateway: Callable[..., Gateway]) -> None:
    running = gateway(next_hop=9)

    assert send(running.smtp, CLEAN, forwarded=STRANGER)[0] == 451
