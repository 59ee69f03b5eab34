"""The generated relay with real Postfix and real Sendmail: mail is scanned, goes on to the internal server, and nothing else passes."""

from collections.abc import Callable

import pytest

from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, send
from tests.support.ports import wait_for
from tests.support.relays import Relay
from tests.support.sink import Sink

CLEAN_HEAD = (
    b"From: carol@partner.example\r\nTo: bob@widget.example\r\nSubject: long\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)


def test_clean_mail_arrives_as_it_was_scanned_and_infected_mail_is_refused(
    gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiosmtpd.smtp.SMTP.line_length_limit", 1 << 20)  # the sink would refuse long lines
    server = relay(gateway().milter)
    long = CLEAN_HEAD + b"x" * 5000 + b" \xc3\xa9\r\n"

    assert send(server.port, CLEAN)[0] == 250, server.log()
    assert send(server.port, long)[0] == 250, server.log()
    bodies = {one.content.split(b"\r\n\r\n", 1)[1] for one in sink.wait(2)}
    assert bodies == {content.split(b"\r\n\r\n", 1)[1] for content in (CLEAN, long)}
    assert {send(server.port, content)[0] for content in INFECTED.values()} == {550}


def test_with_the_gateway_dead_mail_waits_at_the_sender_and_comes_once(
    gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink
) -> None:
    first = gateway()
    server = relay(first.milter)
    first.process.kill()
    first.process.wait()

    assert send(server.port, CLEAN)[0] // 100 == 4

    again = Gateway(first.home, sink.port)
    again.smtp = first.smtp
    again.start()
    try:
        assert send(server.port, CLEAN)[0] == 250
        assert len(sink.wait(1)) == 1
    finally:
        again.stop()


def test_with_the_internal_server_down_mail_waits_and_is_delivered_once(
    gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink
) -> None:
    server = relay(gateway().milter)
    sink.reply = "451 not now"
    assert send(server.port, CLEAN)[0] == 250
    wait_for(lambda: server.queued() == 1, "the mail to wait")

    sink.reply = "250 OK"
    server.flush()

    assert len(sink.wait(1)) == 1
    wait_for(lambda: server.queued() == 0, "an empty queue")
    assert len(sink.delivered) == 1
