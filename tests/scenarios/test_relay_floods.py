"""Floods from outside: one sender gets no more than its share, the internal server sees no more than it can take, zombies are sent away."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.relay.sites import demo
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN
from tests.support.network import INSIDE, OUTSIDE, RELAY, SERVER, hosts, inside
from tests.support.ports import wait_for
from tests.support.relays import GeneratedPostfix, GeneratedSendmail, Relay

__all__ = ["hosts"]

pytestmark = pytest.mark.system

MOST = 5
EXTRA = """
[mail.recipients]
verify = "list"
addresses = ["bob@widget.example"]
[relay]
listen = ["{relay}:25"]
postscreen = {postscreen}
[relay.limits]
rate = "{most}/m"
deliveries = 2
"""


class SlowServer:
    """The internal server: takes half a second for each mail, and counts how many it was sent at a time."""

    def __init__(self) -> None:
        self.taken = 0
        self.now = 0
        self.peak = 0
        self._lock = threading.Lock()
        self._controller = Controller(self, hostname=SERVER, port=25)
        self._controller.start()

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        self.now += 1
        self.peak = max(self.peak, self.now)
        await asyncio.sleep(0.5)
        self.now -= 1
        self.taken += 1
        return "250 OK"

    def stop(self) -> None:
        self._controller.stop()


@pytest.fixture
def server(hosts: tuple[str, str]) -> Iterator[SlowServer]:
    """The test itself stays in the network of all hosts but the relay."""
    with inside(hosts[1]):
        one = SlowServer()
        yield one
        one.stop()


@contextlib.contextmanager
def running(made: type[GeneratedPostfix | GeneratedSendmail], home: Path, network: str, postscreen: str) -> Iterator[Relay]:
    with inside(network):
        gateway = Gateway(home / "gateway", 25).start()
        site = demo(EXTRA.format(relay=RELAY, most=MOST, postscreen=postscreen), gateway.milter)
        one = made(home / "relay", 25, port=25, site=site, host=RELAY).start()
    try:
        yield one
    finally:
        one.stop()
        gateway.stop()


def send(source: str) -> int:
    """One mail in a session of its own; gives the last code, 421 when the session was refused."""
    try:
        with smtplib.SMTP(RELAY, 25, source_address=(source, 0), timeout=60, local_hostname="client.example") as client:
            client.ehlo()
            for code, _ in (client.mail("carol@partner.example"), client.rcpt("bob@widget.example")):
                if code >= 400:
                    return code
            return client.data(CLEAN)[0]
    except smtplib.SMTPResponseException as error:
        return error.smtp_code


@pytest.mark.parametrize("made", [GeneratedPostfix, GeneratedSendmail])
def test_a_flood_gets_its_share_and_our_own_people_go_on(
    made: type[GeneratedPostfix | GeneratedSendmail], home: Path, hosts: tuple[str, str], server: SlowServer
) -> None:
    with running(made, home, hosts[0], "false"):
        flood = [send(OUTSIDE) for _ in range(MOST + 4)]
        ours = [send(INSIDE) for _ in range(MOST + 4)]
        wait_for(lambda: server.taken == flood.count(250) + len(ours), "all mail", 60)

    assert set(ours) == {250}
    assert set(flood) <= {250, 421, 450}
    assert 1 <= flood.count(250) <= MOST


@pytest.mark.slow
def test_the_internal_server_sees_no_more_at_a_time_than_the_site_says(home: Path, hosts: tuple[str, str], server: SlowServer) -> None:
    network = hosts[1]

    def one(_: int) -> int:
        with inside(network):
            return send(INSIDE)

    with running(GeneratedPostfix, home, hosts[0], "false"):
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(one, range(16))) == {250}
        wait_for(lambda: server.taken == 16, "all mail", 60)

    assert server.peak <= 2


def test_a_zombie_that_talks_too_early_is_sent_away_by_postscreen_and_a_mail_server_is_not(
    home: Path, hosts: tuple[str, str], server: SlowServer
) -> None:
    with running(GeneratedPostfix, home, hosts[0], "true") as relay:
        with socket.create_connection((RELAY, 25), 30, (OUTSIDE, 0)) as zombie:
            zombie.sendall(b"EHLO zombie\r\n")
            said = b""
            with contextlib.suppress(OSError):
                zombie.settimeout(30)
                while piece := zombie.recv(1000):
                    said += piece
                    if b"\r\n250 " in said:
                        zombie.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@widget.example>\r\nQUIT\r\n")
        assert b"550 5.5.1 Protocol error" in said or b"521 5.5.1" in said, said
        wait_for(lambda: "PREGREET" in relay.log(), "the log")
        assert send(INSIDE) == 250
        wait_for(lambda: server.taken == 1, "the mail")
