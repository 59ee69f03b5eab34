"""Where the relay meets others: TLS on both sides, our own people with passwords, hosts that only send."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.relay.null_client import null_client
from gatepost.site.load import loads
from tests.support.certificate import self_signed, server_side
from tests.support.dovecot import running_dovecot
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, send
from tests.support.ports import free_port
from tests.support.relays import GeneratedPostfix, Relay
from tests.support.sink import Sink

pytestmark = pytest.mark.system

TLS = """
[relay.tls]
certificate = "{certificate}"
key = "{key}"
policy = "{policy}"
"""
INBOUND = ("carol@partner.example", ("bob@widget.example",))
OUTBOUND = ("bob@widget.example", ("carol@partner.example",))


def with_tls(home: Path, policy: str) -> str:
    certificate, key = self_signed(home, "relay.widget.example")
    key.chmod(0o600)
    return TLS.format(certificate=certificate, key=key, policy=policy)


def encrypted(port: int) -> smtplib.SMTP:
    """A session with TLS."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=60)
    client.starttls(context=ssl._create_unverified_context())
    client.ehlo("client.example")
    return client


def test_mail_comes_in_and_goes_out_encrypted(home: Path, gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink) -> None:
    """The server behind takes nothing in the clear."""
    sink.stop()
    closed = Sink(port=sink.port, tls=server_side(home))
    server = relay(gateway().milter, extra=with_tls(home, "opportunistic"))
    try:
        with encrypted(server.port) as client:
            client.sendmail("carol@partner.example", ["bob@widget.example"], CLEAN)
        (delivered,) = closed.wait(1)
    finally:
        closed.stop()

    assert b"with ESMTPS id" in delivered.content.split(b"\r\n\r\n")[0], "so RFC 3848 calls mail that came encrypted"


@pytest.mark.slow
@pytest.mark.parametrize("way", [INBOUND, OUTBOUND], ids=["inbound", "outbound"])
def test_where_tls_is_required_mail_waits_for_a_server_without_it(
    way: tuple[str, tuple[str, ...]], home: Path, gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink
) -> None:
    extra = with_tls(home, "required") if way is OUTBOUND else '[mail.smtp.tls]\npolicy = "required"\n'
    server = relay(gateway().milter, extra=extra)

    assert send(server.port, CLEAN, *way)[0] == 250
    time.sleep(3)  # three runs of the queue

    assert sink.delivered == []
    assert server.queued() == 1


def test_our_people_send_from_anywhere_with_password_and_encryption_only(
    home: Path, gateway: Callable[..., Gateway], sink: Sink, as_root: None
) -> None:
    port, submission = free_port(), free_port()
    with running_dovecot(home, {"bob": "secret"}) as socket:
        extra = f'[relay.submission]\nlisten = ["127.0.0.1:{submission}"]\nsocket = "unix:{socket}"\n' + with_tls(home, "opportunistic")
        site = loads(SITE.format(sink=sink.port, milter=gateway().milter, port=port) + extra)
        server = GeneratedPostfix(home / "relay", sink.port, port=port, site=site).start()
        try:
            with smtplib.SMTP("127.0.0.1", submission, timeout=60) as clear:
                clear.ehlo()
                assert "auth" not in clear.esmtp_features
                assert clear.mail("bob@widget.example")[0] == 530
            with encrypted(submission) as client:
                assert "PLAIN LOGIN" in client.esmtp_features["auth"].replace("LOGIN PLAIN", "PLAIN LOGIN")
                client.mail("bob@widget.example")
                assert client.rcpt("carol@partner.example")[0] == 554, "not without a password, not even from this machine"
                client.rset()
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    client.login("bob", "wrong")
            with encrypted(submission) as client:
                client.login("bob", "secret")
                client.sendmail("bob@widget.example", ["carol@partner.example"], CLEAN)
            with encrypted(port) as outside:
                assert "auth" not in outside.esmtp_features, "port 25 asks nobody for passwords"
            (delivered,) = sink.wait(1)
        finally:
            server.stop()

    assert delivered.recipients == ("carol@partner.example",)
    assert b"X-Gatepost-Scan: " in delivered.content


SITE = """
[site]
name = "Relay"
[mail]
domains = ["widget.example"]
next_hop = "127.0.0.1:{sink}"
outbound = "127.0.0.1:{sink}"
[mail.milter]
listen = "{milter}"
[mail.recipients]
verify = "none"
[relay]
listen = ["127.0.0.1:{port}"]
"""

FIREWALL = """
[zones.services]
prefixes = ["127.0.0.0/8"]
[hosts.relay]
zone = "services"
addresses = ["127.0.0.1"]
role = "relay"
"""


def test_the_firewall_sends_its_alerts_through_the_relay_and_listens_nowhere(home: Path, sink: Sink, as_root: None) -> None:
    site = loads(SITE.format(sink=sink.port, milter="unix:/run/gatepost/milter.sock", port=sink.port) + FIREWALL)
    server = NullClient(home / "firewall", sink.port, site=site).start()
    try:
        before = listeners()
        command = ["sendmail", "-C", str(home / "firewall/etc"), "-f", "root@widget.example", "admin@widget.example"]
        subprocess.run(command, input=b"Subject: drift\n\nA rule was changed.\n", check=True)
        (delivered,) = sink.wait(1)
        mine = Path(home / "firewall/queue/pid/master.pid").read_text().strip()
    finally:
        server.stop()

    assert delivered.recipients == ("admin@widget.example",)
    assert f"pid={mine}," not in before


def listeners() -> str:
    """Who listens for TCP here."""
    return subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout


class NullClient(GeneratedPostfix):
    """The Postfix of a host that only sends; there is no port to wait for."""

    def files(self) -> dict[Path, bytes]:
        assert self.site is not None
        return {one.path: one.content for one in null_client(self.site, "firewall", self.home / "etc")}

    def ready(self) -> bool:
        return (self.home / "queue/public/pickup").exists()
