"""A firewall in a network namespace of its own, fed with single packets: the kernel as the judge of the readers and the prover.

Three interfaces eth0, eth1, eth2; behind ethN lie 10.N.0.0/16 and fd00:N::/64, and everything else behind eth0. Needs root.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from gatepost.firewall.formula import Packet

_NUMBER = itertools.count()
SIDES = 3


def run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def kernel_state(packet: Packet) -> str:
    """The state that Linux conntrack gives the first packet of a connection (nf_conntrack_proto_tcp.c, _icmp.c)."""
    if packet.proto == 6:
        bare = packet.flags & ~8
        if bare not in {2, 2 | 32, 2 | 16, 4, 4 | 16, 1 | 16, 1 | 16 | 32, 16, 16 | 32}:
            return "invalid"
        return "new" if not bare & 5 and bare & 18 != 18 else "invalid"
    if packet.proto in {1, 58}:
        return "new" if packet.dport in {8, 128} else "invalid"
    return "new"


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a packet came out: the side, and its addresses and ports then; side "local" is the firewall itself."""

    side: str
    src: int
    dst: int
    sport: int
    dport: int


class Bench:
    """One firewall namespace and the world around it."""

    def __init__(self) -> None:
        name = f"gpb{os.getpid() % 100000}x{next(_NUMBER)}"
        self.fw, self.world = f"{name}f", f"{name}w"
        for space in (self.fw, self.world):
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        for side in range(SIDES):
            self._cable(side)
        run("ip", "-n", self.fw, "route", "add", "default", "dev", "eth0")
        run("ip", "-n", self.fw, "-6", "route", "add", "default", "dev", "eth0")
        switches = [
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ]
        switches += [f"net.ipv4.conf.eth{side}.rp_filter=0" for side in range(SIDES)]
        self.inside("sysctl", "-qw", *switches)
        self.sent = 0
        worker = str(Path(__file__).with_name("netlab_worker.py"))
        self.process = self._worker(self.world, worker, "world")
        self.local = self._worker(self.fw, worker, "local")

    def _cable(self, side: int) -> None:
        a, b = f"{self.fw}{side}", f"{self.world}{side}"
        run("ip", "link", "add", a, "type", "veth", "peer", "name", b)
        for link, space, name, mac in ((a, self.fw, f"eth{side}", 1), (b, self.world, f"w{side}", 2)):
            run("ip", "link", "set", link, "netns", space)
            run("ip", "-n", space, "link", "set", link, "name", name)
            run("ip", "-n", space, "link", "set", name, "address", f"02:00:00:00:0{side}:0{mac}", "arp", "off")
            run("ip", "-n", space, "link", "set", name, "up")
        run("ip", "-n", self.fw, "addr", "add", f"10.{side}.0.1/16", "dev", f"eth{side}")
        run("ip", "-n", self.fw, "addr", "add", f"fd00:{side}::1/64", "dev", f"eth{side}", "nodad")

    @staticmethod
    def _worker(space: str, worker: str, role: str) -> subprocess.Popen[str]:
        return subprocess.Popen(["ip", "netns", "exec", space, sys.executable, worker, role], stdin=-1, stdout=-1, text=True)

    def inside(self, *command: str, text: str = "") -> str:
        """Run a command in the firewall's namespace."""
        return run("ip", "netns", "exec", self.fw, *command, text=text)

    def load(self, text: str) -> str:
        """Replace all rules by these, forget all connections, and give the kernel's listing."""
        self.inside("nft", "flush", "ruleset")
        self.inside("nft", "-f", "-", text=text)
        self.inside("conntrack", "-F")
        return self.inside("nft", "-j", "list", "ruleset")

    def ways(self, packet: Packet, verb: str = "add") -> None:
        """Routes for one packet: to its destination by its `oif`, and back to its source by its `iif`."""
        family, length = ("-4", 32) if packet.family == 4 else ("-6", 128)
        kind = IPv4Address if packet.family == 4 else IPv6Address
        for number, interface in ((packet.dst, packet.oif), (packet.src, packet.iif)):
            command = ["ip", "-n", self.fw, family, "route", verb, f"{kind(number)}/{length}", "dev", interface]
            subprocess.run(command, capture_output=True, check=False)

    def no_ways(self, packet: Packet) -> None:
        """Take the routes of `ways` away."""
        self.ways(packet, "del")

    def send(self, packets: Sequence[Packet]) -> list[Seen | None]:
        """Send the packets, each from the side of its `iif`, and say where each came out."""
        rows = [[int(p.iif[3:]), p.family, p.proto, p.src, p.dst, p.sport, p.dport, p.flags] for p in packets]
        print(json.dumps(rows), file=self.process.stdin, flush=True)
        assert self.process.stdout
        assert self.local.stdout
        out = json.loads(self.process.stdout.readline())
        print(self.sent, file=self.local.stdin, flush=True)
        self.sent += len(packets)
        here = json.loads(self.local.stdout.readline())
        found: list[Seen | None] = [None] * len(packets)
        for number, side, *rest in [*out, *here]:
            if number < len(found):
                found[number] = Seen(side, *rest)
        return found

    def close(self) -> None:
        for process in (self.process, self.local):
            process.kill()
            process.wait()
        for space in (self.fw, self.world):
            subprocess.run(["ip", "netns", "del", space], check=False)


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench that is gone afterwards, whatever happens."""
    made = Bench()
    try:
        yield made
    finally:
        made.close()


def route(dst: int, version: int) -> tuple[str, bool]:
    """The interface that the bench's firewall sends a destination to, and whether it is the firewall itself."""
    text = str(ip_address(dst)) if version == 4 else ip_address(dst).exploded
    for side in range(SIDES):
        if version == 4 and text.startswith(f"10.{side}."):
            return f"eth{side}", text == f"10.{side}.0.1"
        if version == 6 and text.startswith(f"fd00:000{side}:"):
            return f"eth{side}", dst == int(ip_address(f"fd00:{side}::1"))
    return "eth0", False
