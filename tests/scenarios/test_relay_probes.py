"""The demo company's relay, generated for both MTAs, in a network of its own without DNS: strangers cannot use it, its people can."""

import contextlib
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from gatepost.relay.probe import run
from gatepost.relay.probes import probes
from tests.relay.sites import demo, demo_text
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED
from tests.support.network import INSIDE, OUTSIDE, RELAY, SERVER, hosts, inside, ip
from tests.support.ports import wait_for
from tests.support.relays import GeneratedPostfix, GeneratedSendmail

__all__ = ["hosts"]

Relay = GeneratedPostfix | GeneratedSendmail


class MailServer:
    """The internal mail server on its address; knows bob and the postmaster only."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self._controller = Controller(self, hostname=SERVER, port=25)
        self._controller.start()

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:  # noqa: N802 aiosmtpd's name
        if address.split("@", maxsplit=1)[0] not in {"bob", "postmaster"}:
            return "550 5.1.1 who?"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        self.got.append(envelope)
        return "250 OK"

    def stop(self) -> None:
        self._controller.stop()


@pytest.fixture
def server(hosts: tuple[str, str]) -> Iterator[MailServer]:
    """The internal mail server; the test itself stays in its network, with all hosts but the relay."""
    with inside(hosts[1]):
        one = MailServer()
        yield one
        one.stop()


@pytest.fixture(params=["postfix", "sendmail"])
def relay(request: pytest.FixtureRequest, home: Path, hosts: tuple[str, str], server: MailServer) -> Iterator[Relay]:
    """The demo company's relay with a gateway behind it. Sendmail cannot ask the internal server who exists, so it has a list."""
    listening = f'\n[relay]\nlisten = ["{RELAY}:25"]\n'
    made = {"postfix": GeneratedPostfix, "sendmail": GeneratedSendmail}[request.param]
    with inside(hosts[0]):
        gateway = Gateway(home / "gateway", 25).start()
        site = demo(listening if request.param == "postfix" else listening + LIST, gateway.milter)
        one = made(home / "relay", 25, port=25, site=site, host=RELAY)
        one.start()
    yield one
    one.stop()
    assert gateway.stop() == 0, gateway.log()


@pytest.fixture
def names(hosts: tuple[str, str]) -> Iterator[None]:
    """A name server for the relay that knows nobody. With DNS dead Sendmail puts strangers off with 450 instead of refusing them."""
    address = next(line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver"))
    with inside(hosts[0]):
        ip("address", "add", f"{address}/32", "dev", "lo")
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                packet, peer = sock.recvfrom(4096)
                answer = dns.message.make_response(dns.message.from_wire(packet))
                answer.set_rcode(dns.rcode.NXDOMAIN)
                sock.sendto(answer.to_wire(), peer)

    threading.Thread(target=serve, daemon=True).start()
    yield
    sock.close()


LIST = '\n[mail.recipients]\nverify = "list"\naddresses = ["bob@widget.example"]\n'


def talk(source: str, sender: str, recipient: str, content: bytes = CLEAN) -> tuple[int, str]:
    """Send a mail from an address; gives the last reply."""
    with smtplib.SMTP(RELAY, 25, source_address=(source, 0), timeout=60, local_hostname="client.example") as client:
        client.ehlo()
        for code, text in (client.mail(sender), client.rcpt(recipient)):
            if code >= 400:
                return code, text.decode()
        code, text = client.data(content)
        return code, text.decode()


def test_all_twenty_probes_are_refused_from_outside(names: None, relay: Relay) -> None:
    outcomes = run(RELAY, 25, probes("widget.example", "relay.widget.example", RELAY), OUTSIDE)

    assert [(one.probe.name, one.code, one.text) for one in outcomes if not one.refused] == []
    assert len(outcomes) == 20


def test_mail_from_outside_comes_in_and_unknown_people_are_refused(relay: Relay, server: MailServer) -> None:
    assert talk(OUTSIDE, "carol@partner.example", "bob@widget.example")[0] == 250, relay.log()
    assert talk(OUTSIDE, "", "postmaster@widget.example")[0] == 250
    code, text = talk(OUTSIDE, "carol@partner.example", "nobody@widget.example")

    assert code == 550, text
    wait_for(lambda: len(server.got) == 2, "both mails")
    assert {one.rcpt_tos[0] for one in server.got} == {"bob@widget.example", "postmaster@widget.example"}


def test_with_dns_dead_strangers_cannot_relay_either(relay: Relay) -> None:
    (outcome,) = run(RELAY, 25, probes("widget.example", "relay.widget.example", RELAY)[:1], OUTSIDE)

    assert not outcome.taken, outcome.text


def test_our_people_may_send_to_the_world_and_one_another(relay: Relay, server: MailServer) -> None:
    (outcome,) = run(RELAY, 25, probes("widget.example", "relay.widget.example", RELAY)[:1], INSIDE)
    assert outcome.taken, outcome.text

    assert talk(INSIDE, "ann@widget.example", "bob@widget.example")[0] == 250


def test_infected_mail_is_refused_in_both_directions(relay: Relay) -> None:
    for content in INFECTED.values():
        assert talk(OUTSIDE, "carol@partner.example", "bob@widget.example", content)[0] == 550
        assert talk(INSIDE, "bob@widget.example", "carol@partner.example", content)[0] == 550


def test_the_command_probes_from_a_zone_and_refuses_to_speak_for_another(names: None, relay: Relay, home: Path) -> None:
    site = home / "demo.toml"
    site.write_text(demo_text())

    def command(zone: str, source: str) -> subprocess.CompletedProcess[str]:
        arguments = ["relay", "probe", f"{RELAY}:25", "--from-zone", zone, "--source", source, "--site", str(site)]
        return subprocess.run([sys.executable, "-m", "gatepost", *arguments], capture_output=True, text=True, check=False)

    outside, inside, wrong = command("internet", OUTSIDE), command("internal", INSIDE), command("internet", INSIDE)
    assert (outside.returncode, outside.stdout.splitlines()[-1]) == (0, "20 of 20 refused")
    assert inside.returncode == 0, inside.stdout
    assert wrong.returncode == 2
    assert "is in zone internal, not internet" in wrong.stderr
