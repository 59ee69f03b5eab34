"""The site rebuilt in network namespaces, with its real rules, tried with real packets from every side.

What it does: makes a namespace for the firewall and one for each zone, gives them the declared addresses, loads the compiled rules, tries
every declared and many undeclared connections in IPv4 and IPv6, and compares what answered with what the policy says.
Not its job: the policy's meaning (`intent`), scanning with nmap (`scan`). It never touches the rules or the network of the host itself.
Raises: `LabError` when namespaces cannot be made; needs root.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Self

from gatepost.firewall import nft, vantage
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy
from gatepost.firewall.formula import PROTOCOLS, TCP, UDP
from gatepost.firewall.intent import intent
from gatepost.firewall.scan import SCANS, command, disagreements, finish, start
from gatepost.firewall.verdict import may_begin
from gatepost.firewall.words import WELL_KNOWN
from gatepost.site.network import FIREWALL

NEVER = (22, 23, 25, 53, 80, 111, 135, 139, 443, 445, 993, 1024, 2049, 3306, 3389, 4444, 5900, 6667, 8080, 31337)
"""Ports tried everywhere, declared or not: what attackers try first."""
SECONDS = 2.0
"""How long a probe waits for an answer; in namespaces it comes in milliseconds or never."""
STRANGER = {"v4": "198.51.100.66", "v6": "2001:db8:66::66"}
"""An address outside that nobody declared (RFC 5737, RFC 3849)."""


class LabError(Exception):
    """The lab cannot be built."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Somebody who sends or listens: a host, a stranger in a zone, or the firewall."""

    name: str
    zone: str
    address: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One try: from whom, to which address, for what; what the policy says, and who answered (None: nobody)."""

    source: Machine
    target: str
    kind: str
    port: int
    wanted: bool
    answered: str | None = None

    @property
    def passed(self) -> bool:
        """Whether somebody answered."""
        return bool(self.answered)

    @property
    def right(self) -> bool:
        """Whether what happened is what was declared."""
        return self.passed is self.wanted


def machines(policy: Policy) -> list[Machine]:
    """Everybody in the lab: declared hosts, and one undeclared machine in each zone."""
    found = [Machine(name, end.zone, str(net.network_address)) for name, end in policy.hosts for net in end.networks or ()]
    for name, zone in policy.zones.items():
        if zone.external:
            found += [Machine(f"{name}-stranger", name, address) for address in STRANGER.values()]
        for text in zone.prefixes:
            taken = {machine.address for machine in found} | set(zone.gateway)
            net = ip_network(text)
            free = next(str(net[number]) for number in (100, 101, 102, 103) if str(net[number]) not in taken)
            found.append(Machine(f"{name}-user", name, free))
    return found


def tried_ports(policy: Policy) -> list[tuple[str, int]]:
    """Every port worth a try, with its protocol: all that a flow names, and the notorious ones."""
    ports = {UDP: {53, 123, 137, 161}, TCP: set(NEVER)}
    for item in policy.allowed:
        for one in item.traffic:
            if one.proto in ports:
                ports[one.proto].add(one.low)
    return [(kind, port) for kind, proto in (("tcp", TCP), ("udp", UDP)) for port in sorted(ports[proto])]


def cells(policy: Policy) -> list[Cell]:
    """Every try: from everybody to everybody behind another side, on all declared ports and the notorious ones."""
    meant, ports = intent(policy), tried_ports(policy)
    everybody = machines(policy)
    ours = [Machine(FIREWALL, FIREWALL, str(net.network_address)) for net in policy.own]
    found = []
    for source, target in itertools.product(everybody, everybody + ours):
        if source.zone == target.zone or (":" in source.address) != (":" in target.address):
            continue
        for kind, port in ports:
            wanted, _ = may_begin(policy, meant, source.address, target.address, PROTOCOLS[kind], port)
            found.append(Cell(source, target.address, kind, port, wanted))
    return found


class Lab:
    """The namespaces, as long as the block lasts."""

    def __init__(self, policy: Policy) -> None:
        """Nothing is built yet."""
        self.policy = policy
        self.prefix = f"gpl{os.getpid() % 1_000_000}"
        self.spaces = {name: f"{self.prefix}-{number}" for number, name in enumerate([FIREWALL, *policy.zones])}
        self.listeners: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        """Build the network and load the rules."""
        try:
            for space in self.spaces.values():
                _ip("netns", "add", space)
                _ip("-n", space, "link", "set", "lo", "up")
                # Without this an interface first asks for a second whether its address is taken, and finds no neighbour meanwhile.
                _run("ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
            for name in self.policy.zones:
                self._zone(name)
            fw = self.spaces[FIREWALL]
            _run("ip", "netns", "exec", fw, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            nft.load(reload_text(compile_policy(self.policy), ()), fw)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        for listener in self.listeners:
            listener.kill()
            listener.wait()
        for space in self.spaces.values():
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    def _zone(self, name: str) -> None:
        """A zone is one namespace that has all its machines' addresses, joined to the firewall by a cable for its first interface."""
        zone, fw, space = self.policy.zones[name], self.spaces[FIREWALL], self.spaces[name]
        interface = zone.interfaces[0]
        _ip("link", "add", interface, "netns", fw, "type", "veth", "peer", "name", "eth0", "netns", space)
        for where, link in ((fw, interface), (space, "eth0")):
            _ip("-n", where, "link", "set", link, "up")
        own = [str(net.network_address) for net in self.policy.own] if zone.external else list(zone.gateway)
        inside = {text for other in self.policy.zones.values() if not other.external for text in other.gateway}
        for address in own:
            if address in zone.gateway or address not in inside:
                _address(fw, interface, address, zone.prefixes)
        for machine in machines(self.policy):
            if machine.zone == name:
                _address(space, "eth0", machine.address, zone.prefixes)
        for gateway in zone.gateway:
            family = "-6" if ":" in gateway else "-4"
            _ip("-n", space, family, "route", "add", "default", "via", gateway, "dev", "eth0", "onlink")
        if zone.external:
            _ip("-n", fw, "route", "add", "default", "dev", interface)
            _ip("-n", fw, "-6", "route", "add", "default", "dev", interface)

    def listen(self, tried: list[Cell]) -> None:
        """Open every tried port on every machine that has the address; published addresses are answered by the host behind."""
        theirs = {machine.address: machine for machine in machines(self.policy)}
        places: dict[str, set[tuple[str, str, int]]] = {name: set() for name in self.spaces}
        for cell in tried:
            zone = theirs[cell.target].zone if cell.target in theirs else FIREWALL
            places[zone].add((cell.target, cell.kind, cell.port))
        for zone, found in places.items():
            named: dict[str, list[tuple[str, str, int]]] = {}
            for place in found:
                named.setdefault(theirs[place[0]].name if place[0] in theirs else FIREWALL, []).append(place)
            for name, mine in named.items():
                self.listeners.append(vantage.listener(vantage.here(self.spaces[zone]), name, sorted(mine)))

    def probe(self, tried: list[Cell]) -> list[Cell]:
        """Try every cell at once from each zone, and give the cells with what answered."""
        running = []
        for zone in self.policy.zones:
            rows = [[n, c.source.address, c.target, c.kind, c.port] for n, c in enumerate(tried) if c.source.zone == zone]
            running.append(vantage.begin(vantage.here(self.spaces[zone]), {"do": "probe", "batches": [rows], "seconds": SECONDS}))
        seen: dict[str, list[str]] = {}
        for started in running:
            seen |= vantage.finish(started)
        said = {number: name for number, (state, name) in seen.items() if state == "open"}
        return [replace(cell, answered=said.get(str(number))) for number, cell in enumerate(tried)]

    def nmap(self, tried: list[Cell]) -> list[str]:
        """Let nmap try the same ports from each zone, with every kind of scan, all at once; where it disagrees with the policy."""
        running = []
        for zone, scan, family in itertools.product(self.policy.zones, SCANS, (4, 6)):
            here = [
                cell
                for cell in tried
                if cell.source.zone == zone and cell.kind == SCANS[scan] and ip_address(cell.target).version == family
            ]
            vantage = [cell for cell in here if cell.source.name == _stranger(here)]
            if vantage:
                running.append((scan, vantage, self._scan(zone, scan, vantage)))
        return [told for scan, vantage, process in running for told in disagreements(finish(process, scan), _allowed(vantage))]

    def _scan(self, zone: str, scan: str, vantage: list[Cell]) -> subprocess.Popen[str]:
        words = command(scan, sorted({cell.target for cell in vantage}), {cell.port for cell in vantage})
        inside = ["ip", "netns", "exec", self.spaces[zone]]
        return start(inside, [words[0], "-S", vantage[0].source.address, "-e", "eth0", *words[1:]])


def _allowed(vantage: list[Cell]) -> dict[tuple[str, str], set[int]]:
    """The declared ports by target and protocol."""
    found: dict[tuple[str, str], set[int]] = {}
    for cell in vantage:
        found.setdefault((cell.target, cell.kind), set()).update([cell.port] if cell.wanted else [])
    return found


def _stranger(tried: list[Cell]) -> str:
    """The machine of a zone that scans: the one that nobody declared."""
    return next(cell.source.name for cell in tried if cell.source.name.endswith(("-stranger", "-user")))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{error.filename} is not installed; the lab needs iproute2, procps and nftables") from None
    if done.returncode:
        hint = "; the lab needs root" if os.geteuid() else ""
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}{hint}")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _address(space: str, interface: str, address: str, prefixes: tuple[str, ...]) -> None:
    net = next((ip_network(text) for text in prefixes if ip_address(address) in ip_network(text)), None)
    length = net.prefixlen if net else ip_address(address).max_prefixlen
    extra = ["nodad"] if ":" in address else []
    with contextlib.suppress(LabError) if net is None else contextlib.nullcontext():
        _ip("-n", space, "addr", "add", f"{address}/{length}", "dev", interface, *extra)


def run(policy: Policy, *, nmap: bool = False) -> tuple[list[Cell], list[str]]:
    """Build the lab, try everything, take it down; the cells with what answered, and where nmap disagrees when it is asked."""
    tried = cells(policy)
    with Lab(policy) as lab:
        lab.listen(tried)
        return lab.probe(tried), lab.nmap(tried) if nmap else []


def matrix_text(found: list[Cell]) -> str:
    """The matrix: for each pair what passed, then what was wrong."""
    passed = sum(cell.passed for cell in found)
    wrong = [cell for cell in found if not cell.right]
    lines = [f"{len(found)} connections tried in IPv4 and IPv6, {passed} answered, {len(wrong)} otherwise than declared.", ""]
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in found:
        if cell.passed:
            rows.setdefault((cell.source.name, f"{cell.answered} ({cell.target})"), []).append(port_text(cell))
    lines += [f"  {source:18} -> {target:36} {', '.join(what)}" for (source, target), what in rows.items()]
    silent = sorted({cell.source.zone for cell in found} - {cell.source.zone for cell in found if cell.passed})
    lines += [f"  nothing from {zone} was answered" for zone in silent]
    if wrong:
        lines += ["", "Otherwise than declared:", *map(_wrong, itertools.islice(wrong, 20))]
    return "\n".join(lines)


def port_text(cell: Cell) -> str:
    """The port, by name where it has one."""
    name = WELL_KNOWN.get((PROTOCOLS[cell.kind], cell.port), "")
    return f"{cell.kind}/{cell.port}" + (f" {name}" if name else "")


def _wrong(cell: Cell) -> str:
    did = "passed, but is not declared" if cell.passed else "is declared, but did not pass"
    return f"  {cell.source.name} ({cell.source.address}) to {cell.target} {port_text(cell)} {did}"


def matrix_data(found: list[Cell]) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "from": cell.source.name,
            "source": cell.source.address,
            "to": cell.target,
            "service": f"{cell.kind}/{cell.port}",
            "wanted": cell.wanted,
            "answered": cell.answered,
        }
        for cell in found
    ]
