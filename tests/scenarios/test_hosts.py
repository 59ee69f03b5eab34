"""Three real Debian hosts from one site file: applied, confirmed, cut off and booted again; mail flows, viruses stop, and only wanted flows pass.

Minutes long, and needs a mirror of Debian for its first run: `pytest -m slow tests/scenarios/test_hosts.py`.
The quick sibling applies the same site file to three plain trees.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.firewall.ask import ask
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import declare
from gatepost.firewall.nft import rehearse
from gatepost.firewall.nft_reader import read_nft
from gatepost.site.load import loads
from tests.support.eicar import EICAR
from tests.support.hosts import ROOT, Host, base, wire
from tests.support.ports import wait_for

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
import asyncore, smtpd
class Sink(smtpd.SMTPServer):
    def process_message(self, peer, sender, recipients, data, **_):
        with open("/var/tmp/taken", "ab") as file:
            file.write(b"<<" + ",".join(recipients).encode() + b">>\\n" + data + b"\\n")
Sink(("0.0.0.0", 25), None)
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
        socket.create_connection((host, port), 2.0, (sys.argv[2], 0)).close()
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
PLACES = ("198.51.100.9", "203.0.113.25", "203.0.113.1", "192.168.2.1", "192.168.2.3", "192.168.3.1", "192.168.3.45")
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
        for host in (self.internet, self.server):
            host.run("systemctl stop postfix")
            self.start(host, "sink", TAKE)
        for host in (self.internet, self.relay, self.server, self.firewall):
            self.start(host, "listen", LISTEN, *map(str, PORTS))

    @staticmethod
    def start(host: Host, name: str, script: str, *words: str) -> None:
        host.write(f"/var/tmp/{name}.py", script)
        host.run(f"systemd-run --unit={name} /usr/bin/python3 -W ignore /var/tmp/{name}.py {' '.join(words)}")

    def remove(self) -> None:
        for host in self.hosts:
            host.remove()

    def mail_flows(self, word: str) -> None:
        """Clean mail comes in and goes out; what is infected is refused in both directions."""
        infected = f"Subject: infected||{EICAR.decode()}"
        assert self.send(self.internet, "203.0.113.25", "carol@partner.example", "bob@widget.example", CLEAN.format(f"in-{word}")) == 250
        assert self.send(self.server, "192.168.2.3", "bob@widget.example", "carol@partner.example", CLEAN.format(f"out-{word}")) == 250
        assert self.send(self.internet, "203.0.113.25", "carol@partner.example", "bob@widget.example", infected) == 550
        assert self.send(self.server, "192.168.2.3", "bob@widget.example", "carol@partner.example", infected) == 550
        assert self.taken(self.server, f"Dear Bob in-{word}") == 1
        assert self.taken(self.internet, f"Dear Bob out-{word}") == 1
        for host in (self.server, self.internet):
            assert EICAR.decode() not in host.run("cat /var/tmp/taken").stdout

    def flows(self) -> tuple[int, int]:
        """Try every port of every host from every side, and compare with what the site declares; gives how many pass, and how many do not."""
        policy = declare(loads(site_text()), dt.datetime.now(tz=dt.UTC).date())
        rules = read_nft(rehearse(reload_text(compile_policy(policy), ())))
        counts = {True: 0, False: 0}
        for source, own in ((self.internet, "198.51.100.9"), (self.relay, "192.168.2.3"), (self.server, "192.168.3.45")):
            places = [(address, port) for address in PLACES if address.rpartition(".")[0] != own.rpartition(".")[0] for port in PORTS]
            came = json.loads(source.python(TRY, json.dumps(places), own))
            for (address, port), reached in zip(places, came, strict=True):
                wanted = ask(policy, rules, own, address, f"tcp/{port}").verdict == "yes"
                assert reached == wanted, (
                    f"{own} to {address}:{port}: {'passed' if reached else 'stopped'}, wanted {'' if wanted else 'not '}to pass"
                )
                counts[reached] += 1
        return counts[True], counts[False]

    def send(self, source: Host, address: str, sender: str, recipient: str, body: str) -> int:
        return int(source.python(SEND, address, sender, recipient, body).strip())

    def processes(self) -> set[str]:
        """The users of Gatepost's processes on the relay."""
        lines = self.relay.run("ps -eo user:32,args").stdout.splitlines()
        return {line.split()[0] for line in lines if "gatepost mail process" in line}

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
def test_from_one_site_file_to_mail_that_flows_and_viruses_that_stop(
    company: Company, record_property: Callable[[str, object], None]
) -> None:
    company.boot()
    begun = time.monotonic()
    for host in (company.firewall, company.relay, company.server):
        host.run("gatepost apply --yes --confirm 300 --take /etc/postfix/main.cf --take /etc/postfix/master.cf")
        host.run("gatepost confirm")
    record_property("seconds of apply and confirm on three hosts", round(time.monotonic() - begun))
    company.mail_flows("first")
    record_property("flows (pass, stopped)", company.flows())
    assert company.relay.run("gatepost verify-install").returncode == 0
    assert company.processes() == {f"gatepost-{one}" for one in ("keeper", "front", "scan", "watch")}

    for host in company.hosts:
        host.cut()
    company.cable()
    company.boot()
    company.mail_flows("again")
    record_property("flows after a power cut (pass, stopped)", company.flows())
    assert company.firewall.run("systemctl is-active multi-user.target", check=False).stdout.strip() == "inactive"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_who_locks_himself_out_comes_in_again(company: Company) -> None:
    company.boot()
    firewall = company.firewall
    firewall.run("gatepost apply --yes --confirm 0 --take /etc/postfix/main.cf --take /etc/postfix/master.cf")
    firewall.write(
        "/etc/gatepost/other.toml", site_text().replace('from = "adminpc"\nto = "firewall"', 'from = "mailserver"\nto = "firewall"')
    )
    session = "SSH_CONNECTION='192.168.3.10 50000 192.168.3.1 22'"

    firewall.run(f"{session} gatepost apply --yes --confirm 8 --site /etc/gatepost/other.toml")
    assert admits(firewall) == "192.168.3.45"
    assert "proves nothing" in firewall.run(f"{session} gatepost confirm", check=False).stderr

    wait_for(lambda: admits(firewall) == "192.168.3.10", "the old rules", 90)
    wait_for(lambda: "not confirmed, put back" in firewall.run("gatepost history").stdout, "the end of the change")


def admits(firewall: Host) -> str:
    """From where the firewall's rules let an administrator in, as the kernel has them now."""
    rules = firewall.run("nft list chain inet gatepost internal_to_firewall 2>/dev/null || nft list table inet gatepost").stdout
    return next(line.split("ip saddr ")[1].split()[0] for line in rules.splitlines() if "admin-ssh" in line and "ip saddr" in line)


@pytest.mark.usefixtures("as_root")
def test_each_host_applies_its_part_of_one_site_file(tmp_path: Path) -> None:
    """The quick sibling: three trees that do not run."""
    site = tmp_path / "site.toml"
    site.write_text(site_text())
    parts = {}
    for role in ("firewall", "relay", "server"):
        root = tmp_path / role
        root.mkdir()
        command = [
            sys.executable,
            "-m",
            "gatepost",
            "apply",
            "--yes",
            "--confirm",
            "0",
            "--role",
            role,
            "--site",
            str(site),
            "--root",
            str(root),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        parts[role] = {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_file()}

    rules, front, timer = (
        "/var/lib/gatepost/firewall/confirmed.nft",
        "/etc/systemd/system/gatepost-front.service",
        "/etc/systemd/system/gatepost-integrity.timer",
    )
    assert {role for role, files in parts.items() if rules in files} == {"firewall"}
    assert {role for role, files in parts.items() if front in files} == {"relay"}
    assert {role for role, files in parts.items() if timer in files} == {"firewall", "relay", "server"}
    assert {role for role, files in parts.items() if "/etc/postfix/main.cf" in files} == {"firewall", "relay"}
