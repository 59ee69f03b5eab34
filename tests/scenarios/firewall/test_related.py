"""What has no port of its own, tried in the lab: ping between all sides, and the data connections of FTP."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost.firewall.declared import read_policy
from gatepost.firewall.formula import ICMP, ICMP6
from gatepost.firewall.intent import intent
from gatepost.firewall.lab import Lab, machines
from gatepost.firewall.verdict import may_begin

SITE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
POLICY = read_policy(SITE)
pytestmark = [pytest.mark.system, pytest.mark.xdist_group("lab")]
ECHO = {4: (ICMP, 8), 6: (ICMP6, 128)}
PING = """
import json, socket, struct, sys, time
made = []
for source, target in json.load(sys.stdin):
    six = ":" in source
    one = socket.socket(*((socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.SOCK_RAW, 1)))
    one.bind((source, 0))
    one.setblocking(False)
    # The kernel makes the checksum of ICMPv6; that of an IPv4 echo with this identifier is the complement of the sum.
    body = struct.pack("!BBHHH", 128 if six else 8, 0, 0 if six else ~(0x0800 + len(made) + 1) & 0xFFFF, len(made) + 1, 0)
    one.sendto(body, (target, 0))
    made.append((one, 129 if six else 0))
time.sleep(2)
def answered(number, one, kind):
    while True:
        try:
            said, peer = one.recvfrom(999)
        except BlockingIOError:
            return False
        body = said if kind else said[20:]
        if body[0] == kind and struct.unpack_from("!H", body, 4)[0] == number:
            return True
print(json.dumps([answered(number + 1, *one) for number, one in enumerate(made)]))
"""
ADMIN, SUPPLIER = "192.168.3.10", "198.51.100.21"
DATA = 40021
FTP = """
import socket, sys
address, data = sys.argv[1], int(sys.argv[2])
control, offered = socket.create_server((address, 21)), socket.create_server((address, data))
offered.settimeout(20)
print("ready", flush=True)
peer, _ = control.accept()
peer.sendall(b"220 ready\\r\\n")
peer.recv(99)
peer.sendall(f"227 Entering Passive Mode ({address.replace('.', ',')},{data >> 8},{data & 255}).\\r\\n".encode())
offered.accept()[0].sendall(b"the drawing")
peer.recv(99)
"""
CLIENT = """
import socket, sys
source, address, data = sys.argv[1], sys.argv[2], int(sys.argv[3])
def tried():
    try:
        return socket.create_connection((address, data), 1, (source, 0)).recv(99).decode()
    except OSError:
        return "nothing"
first = tried()
control = socket.create_connection((address, 21), 5, (source, 0))
control.settimeout(5)
control.recv(99)
control.sendall(b"PASV\\r\\n")
control.recv(99)
print(first, "then", tried())
"""


@pytest.fixture(scope="module")
def lab(as_root: None) -> Iterator[Lab]:
    with Lab(POLICY) as built:
        yield built


def test_ping_passes_where_it_is_declared_and_nowhere_else(lab: Lab) -> None:
    meant, seen = intent(POLICY), []
    for zone in POLICY.zones:
        pairs = [
            (source, target)
            for source, target in itertools.product(machines(POLICY), machines(POLICY))
            if source.zone == zone != target.zone and ip_address(source.address).version == ip_address(target.address).version
        ]
        rows = json.dumps([[source.address, target.address] for source, target in pairs])
        command = ["ip", "netns", "exec", lab.spaces[zone], sys.executable, "-c", PING]
        done = subprocess.run(command, input=rows, capture_output=True, text=True, check=True)
        for (source, target), passed in zip(pairs, json.loads(done.stdout), strict=True):
            echo = ECHO[ip_address(source.address).version]
            seen.append((source, target, may_begin(POLICY, meant, source.address, target.address, *echo)[0], passed))

    assert [(source, target) for source, target, wanted, passed in seen if wanted is not passed] == []
    assert {passed for *_, passed in seen} == {True, False}
    assert len(seen) > 60


def test_ftp_data_passes_when_the_control_connection_said_so_and_never_before(lab: Lab) -> None:
    inside = [["ip", "netns", "exec", lab.spaces[zone], sys.executable, "-c"] for zone in ("internet", "internal")]
    server = subprocess.Popen([*inside[0], FTP, SUPPLIER, str(DATA)], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stdout.readline() == "ready\n"
    try:
        done = subprocess.run([*inside[1], CLIENT, ADMIN, SUPPLIER, str(DATA)], capture_output=True, text=True, check=True)
    finally:
        server.kill()
        server.communicate()

    assert done.stdout.strip() == "nothing then the drawing"
