"""The generated relay with real Postfix: mail is scanned, goes on to the internal server, and nothing else passes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.site.load import loads
from gatepost.site.model import Site
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, send
from tests.support.ports import free_port
from tests.support.relays import GeneratedPostfix
from tests.support.sink import Sink

SITE = """
[site]
name = "Relay"
[zones.internet]
external = true
[zones.internal]
prefixes = ["192.168.3.0/24"]
[mail]
domains = ["widget.example"]
next_hop = "127.0.0.1:{sink}"
outbound = "127.0.0.1:{sink}"
relay_from = ["internal"]
[mail.milter]
listen = "{milter}"
[mail.recipients]
verify = "{verify}"
{recipients}
[relay]
listen = ["127.0.0.1:{port}"]
"""


def site_of(sink: Sink, milter: str, port: int, verify: str = "none", recipients: str = "") -> Site:
    return loads(SITE.format(sink=sink.port, milter=milter, port=port, verify=verify, recipients=recipients))


@pytest.fixture
def relay(home: Path, sink: Sink, as_root: None) -> Iterator[Callable[..., GeneratedPostfix]]:
    started: list[GeneratedPostfix] = []

    def start(milter: str, **options: str) -> GeneratedPostfix:
        port = free_port()
        one = GeneratedPostfix(home / "relay", sink.port, port=port, site=site_of(sink, milter, port, **options))
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.stop()


def test_clean_mail_arrives_as_it_was_scanned_and_infected_mail_is_refused(
    gateway: Callable[..., Gateway], relay: Callable[..., GeneratedPostfix], sink: Sink
) -> None:
    server = relay(gateway().milter)

    code, text = send(server.port, CLEAN)
    assert code == 250, server.log()
    (mail,) = sink.wait(1)
    assert mail.content.split(b"\r\n\r\n", 1)[1] == CLEAN.split(b"\r\n\r\n", 1)[1], text
    assert {send(server.port, content)[0] for content in INFECTED.values()} == {550}
