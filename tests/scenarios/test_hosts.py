"""Three real Debian hosts from one site file: applied, confirmed, cut off and booted again; mail flows, viruses stop, and only wanted flows pass.

Minutes long, and needs a mirror of Debian for its first run: `pytest -m slow tests/scenarios/test_hosts.py`.
The quick sibling applies the same site file to three plain trees.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.eicar import EICAR
from tests.support.hosts import ROOT, Host, base, wire

SEND = """
import smtplib, sys
client = smtplib.SMTP(sys.argv[1], 25, timeout=30)
try:
    client.sendmail(sys.argv[2], [sys.argv[3]], sys.argv[4].replace("|", "\\r\\n"))
    print(250)
except smtplib.SMTPResponseException as error:
    print(error.smtp_code)
except smtplib.SMTPRecipientsRefused as error:
    print(next(iter(error.recipients.values()))[0])
"""
TAKE = """
import asyncore, smtpd, sys
class Sink(smtpd.SMTPServer):
    def process_message(self, peer, sender, recipients, data, **_):
        with open("/var/tmp/taken", "ab") as file:
            file.write(b"<<" + ",".join(recipients).encode() + b">>\\n" + data + b"\\n")
Sink((sys.argv[1], 25), None)
asyncore.loop()
"""
LISTEN = """
import selectors, socket, sys
chosen = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    for kind, place in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        listener = socket.socket(kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((place, port))
        except OSError:
            continue
        listener.listen()
        chosen.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in chosen.select():
        key.fileobj.accept()[0].close()
"""
TRY = """
import json, socket, sys
def reached(place):
    host, port = place
    try:
        socket.create_connection((host, port), 1.0).close()
        return True
    except OSError:
        return False
from concurrent.futures import ThreadPoolExecutor
places = json.loads(sys.argv[1])
with ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(reached, places))))
"""
CLEAN = "From: carol@partner.example|To: bob@widget.example|Subject: hello|Date: Mon, 2 Mar 2026 10:00:00 +0000|Message-ID: <{0}@partner.example>||Dear Bob {0}.|"
PORTS = (22, 25, 53, 80, 443, 587, 3306, 8080)
EXTRA = """
[hosts.isp-mail]
zone = "internet"
addresses = ["198.51.100.25", "2001:db8:25::25"]
"""


def site_text() -> str:
    """The demo company: its internet provider's mail host takes what leaves, and the scanner is the one built in."""
    text = (ROOT / "examples/widget/site.toml").read_text()
    head, _, tail = text.partition("[engines.clamav]")
    text = head + tail[tail.index("[policy.spam]") :]
    return text.replace('next_hop = "mailserver:25"\n', 'next_hop = "mailserver:25"\noutbound = "isp-mail:25"\n') + EXTRA


class Company:
    """Internet, firewall, relay and internal server, each a host of its own."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.internet = Host(
            "internet", [("eth0", ["198.51.100.25/32", "198.51.100.9/32", "203.0.113.254/24", "2001:db8:25::25/128", "2001:db8::2/64"])]
        )
        self.firewall = Host(
            "firewall",
            [
                ("eth0", ["203.0.113.1/24", "203.0.113.25/32", "2001:db8::1/64"]),
                ("eth1", ["192.168.2.1/24", "2001:db8:2::1/64"]),
                ("eth2", ["192.168.3.1/24", "2001:db8:3::1/64"]),
            ],
            ("203.0.113.254", "2001:db8::2"),
        )
        self.relay = Host("relay", [("eth0", ["192.168.2.3/24", "2001:db8:2::3/64"])], ("192.168.2.1", "2001:db8:2::1"))
        self.server = Host("mailserver", [("eth0", ["192.168.3.45/24", "2001:db8:3::45/64"])], ("192.168.3.1", "2001:db8:3::1"))
        self.hosts = (self.internet, self.firewall, self.relay, self.server)
        prefix = f"gp{time.monotonic_ns() % 100_000}-"
        for host in self.hosts:
            host.prepare(prefix)
        for host in (self.firewall, self.relay, self.server):
            host.write("/etc/gatepost/site.toml", site_text())

    def cable(self) -> None:
        wire(self.internet, "eth0", self.firewall, "eth0")
        wire(self.firewall, "eth1", self.relay, "eth0")
        wire(self.firewall, "eth2", self.server, "eth0")

    def boot(self) -> None:
        for host in self.hosts:
            host.boot(self.tree)
        self.internet.run("ip -6 route add 2001:db8:2::/64 via 2001:db8::1; ip -6 route add 2001:db8:3::/64 via 2001:db8::1", check=False)
        for host, address in ((self.internet, "198.51.100.25"), (self.server, "192.168.3.45")):
            host.run("systemctl stop postfix")
            self.start(host, "sink", TAKE, address)

    @staticmethod
    def start(host: Host, name: str, script: str, *words: str) -> None:
        host.write(f"/var/tmp/{name}.py", script)
        host.run(f"systemd-run --unit={name} /usr/bin/python3 -W ignore /var/tmp/{name}.py {' '.join(words)}")

    def remove(self) -> None:
        for host in self.hosts:
            host.remove()

    def send(self, source: Host, address: str, sender: str, recipient: str, body: str) -> int:
        return int(source.python(SEND, address, sender, recipient, body).strip())

    @staticmethod
    def taken(host: Host, word: str, seconds: float = 40) -> int:
        """How many mails with this word have come."""
        end = time.monotonic() + seconds
        while True:
            found = host.run("cat /var/tmp/taken 2>/dev/null", check=False).stdout.count(word)
            if found or time.monotonic() > end:
                return found
            time.sleep(0.5)


@pytest.fixture
def company(as_root: None) -> Iterator[Company]:
    if shutil.which("debootstrap") is None or not Path("/sys/fs/cgroup").is_dir():
        pytest.skip("needs debootstrap and control groups")
    one = Company(base())
    try:
        one.cable()
        yield one
    finally:
        one.remove()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_one_site_file_to_mail_that_flows_and_viruses_that_stop(company: Company) -> None:
    company.boot()
    begun = time.monotonic()
    answers = 0
    for host in (company.firewall, company.relay, company.server):
        host.run("gatepost apply --yes --confirm 300 --take /etc/postfix/main.cf --take /etc/postfix/master.cf")
        host.run("gatepost confirm")
        answers += 2
    spent = time.monotonic() - begun
    print(f"three hosts applied and confirmed in {spent:.0f} s with {answers} answers")
    company.mail_flows("first")

    for host in company.hosts:
        host.cut()
    company.cable()
    company.boot()
    company.mail_flows("again")
