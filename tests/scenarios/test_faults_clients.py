"""Clients that break the protocol or ask for too much: malformed milter sessions, a hundred thousand recipients."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from typing import BinaryIO

import pytest

from tests.support.eicar import EICAR
from tests.support.gateway import Gateway
from tests.support.judge import SOUND, identifier_of
from tests.support.mails import CLEAN, mail, send
from tests.support.memory import private
from tests.support.milter_client import MilterClient
from tests.support.milter_fuzz import sessions
from tests.support.sink import Sink
from tests.support.traffic import STRANGER
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

GROWTH = 32 << 20
"""Bytes of memory that a front may take for good, however it is treated."""
LIMIT = 1_000
"""Recipients of one mail."""


def answer(running: Gateway, content: bytes) -> bytes:
    """The final word on one polite session."""
    with MilterClient(f"{running.home}/milter.sock") as client:
        client.negotiate()
        client.greet()
        return client.deliver(content, recipients=[b"<bob@widget.example>"]).final


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.faults)])
def test_malformed_milter_sessions_disturb_nobody_else(
    count: int, gateway: Callable[..., Gateway], start_way: StartWay, record_property: Callable[[str, object], None]
) -> None:
    running = gateway()
    way = start_way("proxy", running)
    front = running.only("front")
    sessions(f"{running.home}/milter.sock", range(-200, 0))
    before = private(front)
    with way.traffic.flowing():
        ends = sessions(f"{running.home}/milter.sock", range(count))
    way.traffic.settle()

    assert ends["hung"] == 0, ends
    assert way.judge() == SOUND
    assert {code for one in way.traffic.sent for code in one.answers} <= {250, 550}
    assert running.children("front") == [front]
    assert private(front) - before < GROWTH
    assert answer(running, CLEAN) in b"ac"
    assert answer(running, mail("infected", text=EICAR.decode())) not in b"ac"
    assert "Traceback" not in (running.home / "log").read_text()
    record_property("sessions", dict(ends))


def test_a_hundred_thousand_recipients_of_one_mail_are_turned_away_politely(
    gateway: Callable[..., Gateway], start_way: StartWay, record_property: Callable[[str, object], None]
) -> None:
    """Whoever goes on after the limit hears 452 for each recipient too many, or that he errs too often."""
    running = gateway()
    way = start_way("proxy", running)
    front = running.only("front")
    before = private(front)
    told = crowd(running.smtp, 100_000)

    assert told["250 OK"] == LIMIT
    assert set(told) <= {"250 OK", "452 4.5.3", "421 4.7.0"}, told
    assert private(front) - before < GROWTH
    assert way.traffic.send(way.traffic.mixed(8)) == [250, 250, 550, 550, 250, 250, 250, 250]
    assert way.judge() == SOUND
    record_property("outcome", dict(told))


def _answer(lines: BinaryIO) -> bytes:
    """The last line of the next answer."""
    while (line := lines.readline())[3:4] == b"-":
        pass
    return line


def crowd(port: int, count: int) -> Counter[str]:
    """Name so many recipients in one mail, and hear all answers until the end of the connection; it is not sent."""
    told: Counter[str] = Counter()
    with socket.create_connection(("127.0.0.1", port), 60) as sock, sock.makefile("rb") as lines:
        for command in (b"EHLO crowd.example\r\n", b"MAIL FROM:<a@partner.example>\r\n"):
            assert _answer(lines).startswith(b"2")
            sock.sendall(command)
        assert _answer(lines).startswith(b"250")
        for start in range(0, count, 100):
            try:
                sock.sendall(b"".join(b"RCPT TO:<bob%d@widget.example>\r\n" % number for number in range(start, start + 100)))
            except ConnectionError:
                break
            told.update(" ".join(lines.readline().decode().split()[:2]) for _ in range(100))
    del told[""]
    return told


@pytest.mark.parametrize("mails", [3, pytest.param(100, marks=pytest.mark.faults)])
def test_mails_to_a_thousand_recipients_each_come_once_to_each(
    mails: int, gateway: Callable[..., Gateway], sink: Sink, record_property: Callable[[str, object], None]
) -> None:
    running = gateway()
    front = running.only("front")
    recipients = tuple(f"user{number}@widget.example" for number in range(LIMIT))
    before = private(front)

    for number in range(mails):
        assert send(running.smtp, mail(f"newsletter {number}"), recipients=recipients, forwarded=STRANGER)[0] == 250

    arrived = Counter((identifier_of(one.content), recipient) for one in sink.delivered for recipient in one.recipients)
    assert set(arrived.values()) == {1}
    assert len(arrived) == mails * LIMIT
    assert private(front) - before < GROWTH
    record_property("outcome", f"{len(arrived)} recipients, once each")
