"""One drop-off mailbox for the whole company, handed on by the gateway: each person gets their own mail, and nobody gets another's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.mails import INFECTED, mail
from tests.support.sink import Sink

pytestmark = pytest.mark.system

PEOPLE = ("ann", "bob", "dora")


def dropped(who: str, content: bytes) -> bytes:
    """A mail as the provider's mailbox holds it."""
    head = f"Return-Path: <carol@partner.example>\nX-Envelope-To: {who}@widget.example\nReceived: by isp.example; now\n"
    return head.encode() + content.replace(b"\r\n", b"\n")


def run(gateway: Gateway, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    command = [sys.executable, "-m", "gatepost", "mail", "multidrop", *arguments, "--site", str(gateway.site)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_a_bcc_reaches_its_person_a_virus_nobody_and_what_does_not_tell_stays(
    gateway: Callable[..., Gateway], sink: Sink, tmp_path: Path
) -> None:
    running = gateway()
    box = tmp_path / "drop/cur"
    box.mkdir(parents=True)
    for who in PEOPLE:
        (box / who).write_bytes(dropped(who, mail(f"for {who}")))
    (box / "mute").write_bytes(mail("mute"))
    (box / "virus").write_bytes(dropped("bob", next(iter(INFECTED.values()))))

    status, said = run(running, str(tmp_path / "drop"))

    assert status == 1, said
    got = {one.recipients[0]: one.content for one in sink.wait(len(PEOPLE))}
    assert set(got) == {f"{who}@widget.example" for who in PEOPLE}
    assert all(b"Subject: for %b\r\n" % who.encode() in got[f"{who}@widget.example"] for who in PEOPLE)
    assert len(sink.delivered) == len(PEOPLE)
    assert "mute  held: it does not say for whom it is" in said
    assert "virus  to bob@widget.example: refused" in said
    assert len(list(box.iterdir())) == len(PEOPLE) + 2
    assert {str(row.direction) for row in running.rows(count=4)} == {"inbound"}


def test_fetchmail_hears_when_to_try_again(gateway: Callable[..., Gateway], sink: Sink) -> None:
    running = gateway()
    first, said = run(running, "-", stdin=dropped("bob", mail("first")))
    assert first == 0, said
    sink.reply = "451 later"

    status, said = run(running, "-", stdin=dropped("bob", mail("second")))

    assert status == 75
    assert "not now" in said
