"""Deliver-cleaned from the site file to the mailbox: by the proxy and by real Postfix with our milter; what cannot be cleaned is held."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path

import pytest

from gatepost.mail.act.receipt import FIELD
from tests.support.documents import with_macros
from tests.support.eicar import EICAR
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, mail, send
from tests.support.postfix import Postfix
from tests.support.sink import Sink

RULE = """
[[policy.rules]]
name = "cleaned-for-bob"
recipients = ["bob@widget.example"]
findings = ["virus", "banned"]
then = "deliver-cleaned"
"""
SENDER, BOB, ANN = "carol@partner.example", "bob@widget.example", "ann@widget.example"


def two_files() -> bytes:
    """A letter, an infected file and one that is fine."""
    message = email.message_from_bytes(INFECTED["in a zip"], policy=SMTP)
    message.add_attachment(b"fine" * 30, maintype="application", subtype="octet-stream", filename="fine.bin")
    return message.as_bytes()


def parts(content: bytes) -> list[EmailMessage]:
    whole = email.message_from_bytes(content, policy=default)
    return [part for part in whole.walk() if not part.is_multipart()]


BOTH = pytest.mark.parametrize("way", ["proxy", "postfix"], indirect=True)


@pytest.fixture
def way(request: pytest.FixtureRequest, gateway: Callable[..., Gateway], home: Path, sink: Sink) -> Iterator[tuple[Gateway, int]]:
    """A gateway with the rule, and the port where mail for it is taken."""
    running = gateway(RULE)
    if getattr(request, "param", "proxy") == "proxy":
        yield running, running.smtp
        return
    request.getfixturevalue("as_root")
    server = Postfix(home / "postfix", sink.port, milters=running.milter).start()
    yield running, server.port
    server.stop()


@BOTH
def test_the_infected_part_is_replaced_and_the_original_can_be_released(way: tuple[Gateway, int], sink: Sink) -> None:
    running, port = way
    raw = two_files()

    code, _ = send(port, raw)

    assert code == 250
    (delivered,) = sink.wait(1)
    text, notice, fine = parts(delivered.content)
    assert text.get_content().startswith("Hello,")
    assert "data.zip" in notice.get_content()
    assert "a virus was found in it" in notice.get_content()
    assert fine.get_content() == b"fine" * 30
    assert EICAR not in delivered.content
    assert not any(part.defects for part in parts(delivered.content))

    (row,) = running.rows(count=1)
    assert (row.state, row.kept) == ("cleaned", True)
    receipt = email.message_from_bytes(delivered.content, policy=default)[FIELD]
    assert f"original={row.id}" in receipt
    assert "cleaned=" in receipt
    assert row.id in notice.get_content()

    told = running.command("message", row.id)
    assert "Removed 2 data.zip: a virus was found in it" in told
    assert "deliver-cleaned for bob@widget.example by rule cleaned-for-bob" in told

    running.command("quarantine", "release", row.id, BOB)
    original = sink.wait(2)[1]
    assert original.content.split(b"\r\n\r\n", 1)[1] == raw.split(b"\r\n\r\n", 1)[1]
    assert running.rows(count=1)[0].state == "released"


def test_others_keep_to_their_own_policy(way: tuple[Gateway, int], sink: Sink) -> None:
    """Ann's policy refuses viruses, which one answer cannot do for her alone: hers is held, Bob gets his cleaned."""
    running, port = way

    assert send(port, two_files(), SENDER, (BOB, ANN))[0] == 250

    (delivered,) = sink.wait(1)
    assert delivered.recipients == (BOB,)
    assert {row.recipient: str(row.state) for row in running.rows(count=2)} == {BOB: "cleaned", ANN: "quarantined"}


def test_a_clean_mail_is_not_touched(way: tuple[Gateway, int], sink: Sink) -> None:
    _, port = way
    assert send(port, CLEAN)[0] == 250
    (delivered,) = sink.wait(1)
    assert delivered.content.split(b"\r\n\r\n", 1)[1] == CLEAN.split(b"\r\n\r\n", 1)[1]
    assert b"cleaned=" not in delivered.content


@BOTH
def test_a_mail_that_could_be_read_in_two_ways_is_held_whole(way: tuple[Gateway, int], sink: Sink) -> None:
    running, port = way
    types = two_files().replace(b"MIME-Version", b"Content-Type: multipart/mixed; boundary=x\r\nMIME-Version", 1)
    encodings = two_files().replace(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: base64\r\n" * 2, 1)

    codes = [send(port, raw)[0] for raw in (types, encodings)]

    assert codes == [250, 250]
    assert [str(row.state) for row in running.rows(count=2)] == ["quarantined", "quarantined"]
    assert sink.delivered == []


def test_macros_go_and_the_document_stays_unless_it_is_infected_elsewhere_too(way: tuple[Gateway, int], sink: Sink) -> None:
    """What is left of a document is scanned again, and goes too when something is found in it."""
    running, port = way
    send(port, mail("plan", file=("plan.docm", with_macros("docm", EICAR))))
    send(port, mail("plan", file=("plan.docm", with_macros("docm", EICAR, {"word/media/picture.txt": EICAR}))))
    first, second = sink.wait(2)
    assert [part.get_filename() for part in parts(first.content)] == [None, None, "plan.docx"]
    assert [part.get_filename() for part in parts(second.content)] == [None, None]
    assert [str(row.state) for row in running.rows(count=2)] == ["cleaned", "cleaned"]
