"""The real machine tried from outside, and what was seen compared with what was declared.

What it does: says which connections are worth a try from one zone and what the policy says of each, has them tried (declared ones first, so
that a shut-out scanner has asked them before), and judges. Silence counts only while the canary answers, before and after.
Not its job: opening the canary (`canary`), sending packets (`labworker`).
Raises: `OutsideError` when the vantage point is not where it should be; `VantageError` from the prober.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from gatepost.firewall import vantage
from gatepost.firewall.canary import HOLD, NAME, PORT, Canary, shows_uptime
from gatepost.firewall.declare import Policy, parse_rate
from gatepost.firewall.formula import PROTOCOLS
from gatepost.firewall.intent import intent
from gatepost.firewall.lab import SECONDS, tried_ports
from gatepost.firewall.verdict import may_begin, side
from gatepost.firewall.words import WELL_KNOWN

AT_ONCE = 100
"""Connections tried together; fewer where the policy limits what comes from outside."""
PER = {"second": 1, "minute": 60, "hour": 3600}
VERSION = re.compile(r"\d+\.\d+")
SILENT = "silent"


class OutsideError(Exception):
    """The scan cannot be made from there."""


@dataclass(frozen=True, slots=True)
class Try:
    """One connection tried: what is declared, what was seen (open, closed, refused, silent), and what was said."""

    target: str
    kind: str
    port: int
    wanted: bool
    seen: str = SILENT
    said: str = ""

    @property
    def wrong(self) -> str:
        """In which way this is otherwise than declared; "" when it is as declared, or cannot be known."""
        passed = self.seen in {"open", "closed"}
        if passed and not self.wanted:
            return f"passed ({self.seen}), but is not declared"
        if self.wanted and not passed and not self.unknown:
            return f"is declared, but did not pass ({self.seen})"
        return ""

    @property
    def unknown(self) -> bool:
        """A declared UDP service that says nothing may have heard all the same."""
        return self.wanted and self.kind == "udp" and self.seen == SILENT

    def __str__(self) -> str:
        """Where, and for what."""
        name = WELL_KNOWN.get((PROTOCOLS[self.kind], self.port), "")
        return f"{self.target} {self.kind}/{self.port}" + (f" {name}" if name else "")


@dataclass(frozen=True, slots=True)
class Report:
    """What a scan showed. `canaries` were tried before and after; `packets` were seen by the firewall (None: it was not asked)."""

    zone: str
    sources: tuple[str, ...]
    tries: tuple[Try, ...]
    canaries: tuple[Try, ...]
    unreachable: tuple[str, ...] = ()
    clocks: tuple[str, ...] | None = ()
    uptime: bool | None = None
    packets: int | None = None

    @property
    def _lost(self) -> list[str]:
        """Canaries that were not heard; that somebody in between answered for them does not count."""
        found = [f"the canary {one} was not heard" for one in self.canaries if one.said != NAME]
        return found if self.canaries else ["there was no canary"]

    @property
    def blind(self) -> list[str]:
        """Why silence proves nothing here; empty when it does."""
        found = self._lost
        if not self.tries:
            found.append("nothing was tried")
        found += [f"there is no way from here to {target}" for target in self.unreachable]
        if self.packets is not None and self.packets < self.sent:
            found.append(f"{self.sent} packets were sent, but the firewall saw only {self.packets}")
        return found

    @property
    def sent(self) -> int:
        """How many first packets went out; repeated ones are not counted."""
        return len(self.tries) + len(self.canaries)

    @property
    def wrong(self) -> list[str]:
        """What is otherwise than declared."""
        told = [f"{one} {one.wrong}" for one in self.tries if one.wrong]
        return told + [f"{target} tells its time to an ICMP timestamp request" for target in self.clocks or ()]

    @property
    def leaks(self) -> list[str]:
        """What the machine tells strangers without need."""
        banners = [one for one in self.tries if one.kind == "tcp" and VERSION.search(one.said)]
        told = [f"{one} tells its version: {one.said.splitlines()[0][:80]!r}" for one in banners]
        return told + (["the firewall's TCP timestamps show how long it is up: set net.ipv4.tcp_timestamps = 1"] if self.uptime else [])

    @property
    def status(self) -> int:
        """0 as declared, 1 otherwise, 2 the scan could not have seen everything, or did not reach the firewall at all."""
        if self.wrong and not self._lost:
            return 1
        return 2 if self.blind else 0


def targets(policy: Policy, zone: str) -> list[str]:
    """Everything on other sides: the firewall's own and public addresses, and the declared hosts."""
    hosts = (str(net.network_address) for _, end in policy.hosts if end.zone != zone for net in end.networks or ())
    return list(dict.fromkeys([*(str(net.network_address) for net in policy.own), *hosts]))


def canary_addresses(policy: Policy, zone: str, sources: Iterable[str]) -> list[str]:
    """The firewall's addresses on the side of the scanner, one for each IP version that it has."""
    versions = {ip_address(source).version for source in sources}
    return [address for address in policy.zones[zone].gateway if ip_address(address).version in versions]


def vantage_sources(policy: Policy, zone: str, command: list[str], asked: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """From which address the firewall will see each target tried; `given` are told by the user, for a vantage point behind translation."""
    found: dict[str, str] = vantage.ask(command, {"do": "sources", "targets": list(asked)})
    told = {ip_address(source).version: source for source in given}
    found = {target: source and told.get(ip_address(target).version, source) for target, source in found.items()}
    for source in sorted({source for source in found.values() if source}):
        if side(policy, source) not in policy.zones[zone].interfaces:
            remedy = "behind address translation, give --source with the address that the firewall sees"
            raise OutsideError(f"{source} is no address of zone {zone}; run this on a host there, or use --ssh; {remedy}")
    return found


def tries(policy: Policy, sources: Mapping[str, str]) -> list[Try]:
    """Every connection worth a try, the declared ones first."""
    meant, found = intent(policy), []
    for (target, source), (kind, port) in itertools.product(sources.items(), tried_ports(policy)):
        if source:
            wanted, _ = may_begin(policy, meant, source, target, PROTOCOLS[kind], port)
            found.append(Try(target, kind, port, wanted))
    return sorted(found, key=lambda one: not one.wanted)


def at_once(policy: Policy) -> int:
    """How many may be tried together without running into the limit for new connections, repeated packets included."""
    count, per = parse_rate(policy.settings.limits.new) or (AT_ONCE, "second")
    return max(1, min(AT_ONCE, int(count / PER[per] * SECONDS / 4)))


def scan(policy: Policy, zone: str, command: list[str], asked: Sequence[str], given: Sequence[str], firewall: str | None) -> Report:
    """The whole scan with the prober of `command`.

    `firewall` is the namespace of the firewall ("" is this host), where the canary is opened for the scan; None when somebody else holds it
    open. `given` are the scanner's addresses as the firewall sees them.
    """
    found = vantage_sources(policy, zone, command, asked, given)
    sources = tuple(sorted({source for source in found.values() if source}))
    unreachable = tuple(target for target, source in found.items() if not source)
    addresses, planned = canary_addresses(policy, zone, sources), tries(policy, found)
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(Canary(addresses, list(sources), HOLD, firewall)) if firewall is not None else None
        done, canaries = _run(policy, command, planned, addresses)
        packets = held.packets() if held else None
        clocks = vantage.ask(command, {"do": "clocks", "targets": [target for target in found if "." in target], "seconds": SECONDS})
    uptime = shows_uptime() if held else None
    return Report(zone, sources, tuple(done), tuple(canaries), unreachable, None if clocks is None else tuple(clocks), uptime, packets)


def _run(policy: Policy, command: list[str], planned: list[Try], addresses: Iterable[str]) -> tuple[list[Try], list[Try]]:
    """Have everything tried, with the canaries before and after; the tries and the canaries, with what was seen."""
    canaries = [Try(address, kind, PORT, wanted=True) for address in addresses for kind in ("tcp", "udp")]
    rows = [["", one.target, one.kind, one.port] for one in [*canaries, *planned, *canaries]]
    numbered = [[number, *row] for number, row in enumerate(rows)]
    first, last = numbered[: len(canaries)], numbered[len(rows) - len(canaries) :]
    middle = numbered[len(canaries) : len(rows) - len(canaries)]
    batches = [first, *_batches(middle, at_once(policy)), last]
    seen = vantage.ask(command, {"do": "probe", "batches": batches, "seconds": SECONDS})
    done = [_with(one, seen.get(str(number))) for number, one in enumerate([*canaries, *planned, *canaries])]
    return done[len(canaries) : len(rows) - len(canaries)], done[: len(canaries)] + done[len(rows) - len(canaries) :]


def _batches(rows: list[list[object]], size: int) -> Iterator[list[list[object]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _with(one: Try, answer: list[str] | None) -> Try:
    return replace(one, seen=answer[0], said=answer[1]) if answer else one


def report_text(report: Report) -> str:
    """The report for people."""
    passed = [one for one in report.tries if one.seen in {"open", "closed"}]
    lines = [f"From {report.zone} ({', '.join(report.sources)}): {len(report.tries)} connections tried, {len(passed)} passed."]
    if report.packets is not None:
        lines.append(f"{report.sent} first packets were sent; the firewall saw {report.packets} packets, repeated ones included.")
    lines += [f"  {one}: {one.seen}" for one in passed if one.wanted]
    lines += _block("Otherwise than declared:", report.wrong)
    lines += _block("Silence proves nothing, because", report.blind)
    lines += _block("Not known, because nothing was said:", [str(one) for one in report.tries if one.unknown])
    lines += _block("Told to strangers:", report.leaks)
    lines += _block("Not looked at:", _left_out(report))
    if not report.status:
        lines += ["", "As declared. The canary answered before and after, so silence was silence."]
    return "\n".join(lines)


def _left_out(report: Report) -> list[str]:
    clocks = [] if report.clocks is not None else ["ICMP timestamps: the prober needs root for that"]
    return clocks + ([] if report.uptime is not None else ["TCP timestamps: they are read on the firewall, with --ssh or --open"])


def _block(title: str, found: Iterable[str]) -> list[str]:
    listed = [f"  {one}" for one in found]
    return ["", title, *listed] if listed else []


def report_data(report: Report) -> dict[str, object]:
    """The same for programs."""
    rows = [{"to": one.target, "service": f"{one.kind}/{one.port}", "wanted": one.wanted, "seen": one.seen} for one in report.tries]
    return {
        "from": report.zone,
        "sources": list(report.sources),
        "tries": rows,
        "sent": report.sent,
        "packets": report.packets,
        "wrong": report.wrong,
        "blind": report.blind,
        "unknown": [str(one) for one in report.tries if one.unknown],
        "leaks": report.leaks,
        "status": report.status,
    }
