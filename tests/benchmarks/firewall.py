"""`python -m tests.benchmarks.firewall`: the data plane of the rules beside its floor and its peers, in one run in network namespaces.

Each contender is a firewall of its own between two hosts. Datagrams that each begin a connection are sent as fast as one processor can, to
the last of the services; what arrives is counted by the interface of the far host. Contenders take turns, round by round, and medians are
quoted. The floor is a firewall that only tracks connections: whatever knows a connection from a packet costs at least that. Peers are one
rule a service, as people write them, in both kinds of iptables.

Then the rules are replaced again and again while forbidden datagrams are poured in. Emptying everything first, then loading, is the control:
a measurement that sees no leak there would prove nothing. Deleting the table and making it anew in one transaction, as is usual, is told too.

The last lines are the targets: `target NAME VALUE BOUND met|missed`. Needs root, nft, iptables; takes about two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gatepost.firewall import nft
from gatepost.firewall.compile import Compiled, compile_policy, reload_text
from gatepost.firewall.declare import Policy
from tests.firewall.conftest import policy_from
from tests.support import flood
from tests.support.netlab import run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "widget" / "site.toml"
SIZES = (50, 500, 5000)
SENDER = "192.168.3.10"
FORBIDDEN = 7
FLOOR = "connection tracking only"
TRACKING = "table inet floor { chain forward { type filter hook forward priority filter; policy accept; ct state established accept; }; }\n"
SILENT = "table inet quiet { chain first { type filter hook prerouting priority raw; policy drop; meta l4proto udp counter; }; }\n"
PLAIN = "table inet plain { chain forward { type filter hook forward priority filter; policy drop; ct state established accept; }; }\n"
USUAL = f"table inet plain\ndelete table inet plain\n{PLAIN}"


def service(number: int) -> tuple[str, int]:
    """Address and UDP port of one service."""
    return f"10.50.{number // 250}.{number % 250 + 1}", 1024 + number


def policy(count: int) -> Policy:
    """The demo company with so many further services, each on a host of its own, open to the internal network."""
    parts = [EXAMPLE.read_text(encoding="utf-8").replace('"192.168.2.0/24", ', '"192.168.2.0/24", "10.50.0.0/16", ', 1)]
    for number in range(count):
        address, port = service(number)
        parts.append(f'[hosts.s{number}]\nzone = "services"\naddresses = ["{address}"]\n\n[services.svc{number}]\nudp = [{port}]\n')
        flow = f'id = "f{number}"\nfrom = "internal"\nto = "s{number}"\nservices = "svc{number}"\n'
        parts.append(f'[[flows]]\n{flow}reason = "for the measurement"\nowner = "nobody"\n')
    return policy_from("\n".join(parts))


def linear(count: int) -> str:
    """The same services for iptables-restore, one rule each."""
    pairs = (service(number) for number in range(count))
    rules = [f"-A FORWARD -i eth2 -o eth1 -p udp -d {address} --dport {port} -j ACCEPT" for address, port in pairs]
    known = "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    return "\n".join(["*filter", ":FORWARD DROP [0:0]", known, *rules, "COMMIT", ""])


@dataclass
class Path3:
    """A sender, a firewall and a target in namespaces of their own; the target answers to the address of the last service."""

    name: str
    count: int

    def __post_init__(self) -> None:
        self.sender, self.fw, self.target = (f"{self.name}{end}" for end in "sft")
        self.address, self.port = service(self.count - 1)

    def build(self) -> None:
        """Make the namespaces, cables, addresses and routes."""
        for space in (self.sender, self.fw, self.target):
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        for end, link in ((self.sender, "eth2"), (self.target, "eth1")):
            run("ip", "link", "add", link, "netns", self.fw, "type", "veth", "peer", "name", "eth0", "netns", end)
            run("ip", "-n", end, "link", "set", "eth0", "up")
            run("ip", "-n", self.fw, "link", "set", link, "up")
        for space, link, address in (
            (self.sender, "eth0", f"{SENDER}/24"),
            (self.fw, "eth2", "192.168.3.1/24"),
            (self.fw, "eth1", "192.168.2.1/24"),
            (self.target, "eth0", f"{self.address}/32"),
        ):
            run("ip", "-n", space, "addr", "add", address, "dev", link)
        run("ip", "-n", self.sender, "route", "add", "default", "via", "192.168.3.1")
        run("ip", "-n", self.fw, "route", "add", "10.50.0.0/16", "dev", "eth1")
        run("ip", "-n", self.target, "route", "add", "default", "dev", "eth0")
        self.inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
        nft.load(SILENT, self.target)

    def inside(self, *command: str, text: str = "") -> str:
        """Run a command on the firewall."""
        return run("ip", "netns", "exec", self.fw, *command, text=text)

    def received(self) -> int:
        """Datagrams that have arrived at the target until now; it answers none."""
        rules = (item["rule"]["expr"] for item in json.loads(nft.listing(self.target))["nftables"] if "rule" in item)
        return sum(part["counter"]["packets"] for expression in rules for part in expression if "counter" in part)

    def pour(self, port: int, seconds: float) -> tuple[float, float]:
        """New connections a second sent, and arrived."""
        before = self.received()
        command = ["ip", "netns", "exec", self.sender, *flood.command(self.address, port, seconds, SENDER)]
        sent, took = map(float, run(*command).split())
        time.sleep(0.1)
        return sent / took, (self.received() - before) / took

    def gone(self) -> None:
        """Leave nothing behind."""
        for space in (self.sender, self.fw, self.target):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


@contextlib.contextmanager
def path(count: int, load: Callable[[Path3], object]) -> Iterator[Path3]:
    """A path whose firewall has loaded something."""
    made = Path3(f"gpf{os.getpid() % 100000}x{next(_NUMBER)}", count)
    try:
        made.build()
        load(made)
        # Connections of one direction end soon, so that the table does not fill and every contender pays for new ones.
        made.inside("sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=1")
        yield made
    finally:
        made.gone()


_NUMBER = iter(range(1000))


def contenders() -> dict[str, tuple[int, Callable[[Path3], object]]]:
    """Everybody who is measured: how many services, and how the rules are loaded."""
    texts = {count: reload_text(compile_policy(policy(count)), ()) for count in SIZES}
    rules = linear(SIZES[-1])
    found: dict[str, tuple[int, Callable[[Path3], object]]] = {FLOOR: (1, lambda made: nft.load(TRACKING, made.fw))}
    for count, text in texts.items():
        found[f"Gatepost, {count} services"] = (count, lambda made, text=text: nft.load(text, made.fw))  # type: ignore[misc]
    for kind in ("iptables-nft", "iptables-legacy"):
        found[f"{kind}, {SIZES[-1]} services"] = (SIZES[-1], lambda made, kind=kind: made.inside(f"{kind}-restore", text=rules))  # type: ignore[misc]
    return found


def speeds(rounds: int, seconds: float) -> dict[str, tuple[float, float]]:
    """For each contender: new connections that arrived, and refused ones that it took, a second."""
    seen: dict[str, list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        ready = {name: stack.enter_context(path(count, load)) for name, (count, load) in contenders().items()}
        for _ in range(rounds):
            for name, made in ready.items():
                seen.setdefault(name, []).append((made.pour(made.port, seconds)[1], made.pour(FORBIDDEN, seconds)[0]))
    return {name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in seen.items()}


def applied(made: Path3, texts: list[str], times: int) -> float:
    """Seconds to replace all rules, by one transaction after the other, the median of so many."""
    found = []
    for _ in range(times):
        begun = time.monotonic()
        for text in texts:
            nft.load(text, made.fw)
        found.append(time.monotonic() - begun)
    return statistics.median(found)


def leaked(text: str, again: list[str], reloads: int) -> tuple[int, float, float]:
    """Forbidden packets that arrived, packets a second that were sent, seconds a reload."""
    with path(SIZES[-1], lambda made: nft.load(text, made.fw)) as made:
        before, rates = made.received(), []
        stop = threading.Event()

        def pour() -> None:
            while not stop.is_set():
                rates.append(made.pour(FORBIDDEN, 2.0)[0])

        poured = threading.Thread(target=pour)
        poured.start()
        each = applied(made, again, reloads)
        stop.set()
        poured.join()
        return made.received() - before, statistics.median(rates), each


def tell(name: str, value: float, bound: float, *, most: bool = False) -> bool:
    """Print one target; whether it is met."""
    met = value <= bound if most else value >= bound
    sys.stdout.write(f"target {name} {value:.3g} {bound:g} {'met' if met else 'missed'}\n")
    return met


def reload_of(compiled: Compiled) -> str:
    """The transaction by which apply replaces the same rules."""
    return reload_text(compiled, compiled.objects)


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--seconds", type=float, default=2.0, help="of each flood")
    asked.add_argument("--reloads", type=int, default=250)
    given = asked.parse_args()
    found = speeds(given.rounds, given.seconds)
    floor = found[FLOOR][0]
    for name, (new, refused) in found.items():
        told = f"{new / 1000:6.1f} k/s passed, {new / floor:4.0%} of the floor; {refused / 1000:6.1f} k/s refused"
        sys.stdout.write(f"{name:32} {told}\n")
    compiled = compile_policy(policy(SIZES[-1]))
    with path(SIZES[-1], lambda made: nft.load(reload_text(compiled, ()), made.fw)) as made:
        each = applied(made, [reload_of(compiled)], 9)
    small = compile_policy(policy(SIZES[0]))
    ways = {
        "flush and refill": (reload_text(small, ()), [reload_of(small)]),
        "delete the table": (PLAIN, [USUAL]),
        "empty, then load": (PLAIN, ["flush ruleset\n", PLAIN]),
    }
    leaks = {name: leaked(text, again, given.reloads) for name, (text, again) in ways.items()}
    for name, (passed, rate, took) in leaks.items():
        sys.stdout.write(
            f"{given.reloads} reloads by {name}: {passed} forbidden packets passed at {rate / 1000:.0f} k/s, {1000 * took:.0f} ms each\n"
        )
    largest = found[f"Gatepost, {SIZES[-1]} services"][0]
    met = [
        tell("new connections at 5,000 services, of the floor", largest / floor, 0.7),
        tell("seconds to replace the rules at 5,000 services", each, 0.2, most=True),
        tell("forbidden packets during reloads", leaks["flush and refill"][0], 0, most=True),
        tell("forbidden packets during reloads, control", leaks["empty, then load"][0], 1),
    ]
    raise SystemExit(not all(met))


if __name__ == "__main__":
    main()
