"""Certificates that have expired, of the next hop and of our own listener: never in clear where TLS is demanded, and one line says why."""

from __future__ import annotations

import datetime as dt
import json
import smtplib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.certificate import self_signed
from tests.support.gateway import Gateway
from tests.support.judge import SOUND
from tests.support.sink import Sink
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)


@pytest.fixture
def expired(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate that was good until an hour ago, of an authority that the gateway trusts."""
    pair = self_signed(home, until=YESTERDAY)
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    return pair


@pytest.fixture
def sink(home: Path, expired: tuple[Path, Path]) -> Iterator[Sink]:
    """A next hop that takes mail by TLS alone, with the expired certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*expired)
    server = Sink(tls=context)
    yield server
    server.stop()


def with_policy(policy: str) -> str:
    return f'[mail.smtp.tls]\npolicy = "{policy}"\n'


def test_mail_waits_for_a_next_hop_that_must_be_verified_and_comes_once_when_its_certificate_is_renewed(
    gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = gateway(with_policy("verified"))
    way = start_way("proxy", running)
    way.traffic.kinds = ("clean",)

    assert set(way.traffic.send(way.traffic.mixed(4))) == {451}
    assert sink.delivered == []
    assert "certificate has expired" in running.log()
    assert sink.tls
    renewed = self_signed(home)
    sink.tls.load_cert_chain(*renewed)
    assert running.stop() == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(renewed[0]))
    again = Gateway(running.home, sink.port, running.extra, running.smtp).start()
    try:
        way.traffic.settle()
    finally:
        assert again.stop() == 0

    assert way.judge() == SOUND


def test_where_tls_is_only_wished_for_an_expired_certificate_is_better_than_none(
    gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink
) -> None:
    way = start_way("proxy", gateway(with_policy("opportunistic")))

    assert set(way.traffic.send(way.traffic.mixed(8))) == {250, 550}
    assert way.judge() == SOUND
    assert sink.delivered


def test_our_own_expired_certificate_is_told_by_the_doctor_and_refused_by_who_verifies(
    gateway: Callable[..., Gateway], expired: tuple[Path, Path]
) -> None:
    running = gateway(f'[mail.smtp.tls]\ncertificate = "{expired[0]}"\nkey = "{expired[1]}"\n')
    with smtplib.SMTP("127.0.0.1", running.smtp, timeout=20) as client, pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        client.starttls(context=ssl.create_default_context(cafile=str(expired[0])))
    with smtplib.SMTP("127.0.0.1", running.smtp, timeout=20) as client:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert client.starttls(context=context)[0] == 220

    told = json.loads(running.command("doctor", "--json", status=2))["checks"]
    assert any("expired on" in str(one) and one["severity"] == "error" for one in told), told
