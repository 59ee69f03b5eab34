"""Who tried what at the firewall: logged packets counted by the minute, kept as events of the journal, and asked for again.

What it does: counts entries of the log (`logged`) in a `Minute`, so that a flood is one number and not a hundred thousand lines; makes
each minute one event of kind `firewall.attempts`, and each source that tried many things one of kind `firewall.scan`; reads them back as
`Attempt` rows, by time, zone, service, source; finds one probe by its id; finds who did several things in the same minute.
Not its job: reading the kernel's log (`gatepost.system.nflog`), writing the journal (the keeper).
Raises: `JournalError` from `attempts`; nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatepost.firewall.formula import PROTOCOLS
from gatepost.firewall.logged import Entry
from gatepost.firewall.words import service
from gatepost.journal.event import Event
from gatepost.journal.interface import Journal

KIND = "firewall.attempts"
SCAN = "firewall.scan"

MINUTE = 60
MOST = 1000
"""Different things tried that are told apart within one minute; what is more is counted by kind and zone only."""
MANY = 15
"""Different refused things (target and service) by which a source is called a scanner within one minute."""
PAGE = 1000
REFUSING = ("refuse_", "malformed", "spoofed", "flooding", "banned")
"""How the chains begin that end what is refused."""


Key = tuple[str, str, str, str, str, str]
"""Event, kind, zone, source, target and service."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """So many logged packets within the minute that begins at `at` (seconds since the epoch), from one source for one service.

    `event` is refused, attack (malformed, forged source), flood, scan (shut out) or access (a flow that is logged, `kind` is its prefix);
    `zone` is where the packets came from. `count` is a lower bound, because the rules log at a bounded rate. `sport` is the source port
    of the first. Where more was tried in that minute than is told apart, `source`, `target` and `service` are "".
    """

    at: float
    event: str
    kind: str
    zone: str
    source: str
    target: str
    service: str
    count: int
    sport: int = 0

    @property
    def probe(self) -> str:
        """The id of the first packet, by which somebody who sent it finds it again."""
        return probe_id(self.source, self.sport, self.target, self.service)


def probe_id(source: str, sport: int, target: str, what: str) -> str:
    """The id of a probe: `198.51.100.7:40001>203.0.113.1:tcp/23`; `what` is a service with or without its name."""
    return f"{source}:{sport}>{target}:{what.rpartition('(')[2].rstrip(')')}"


@dataclass(slots=True)
class Minute:
    """What is logged within one minute that begins at `at`. `zones` gives the zone of each interface."""

    at: float
    zones: Mapping[str, str]
    _counts: dict[Key, list[int]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Count one entry."""
        zone = entry.zone or self.zones.get(entry.incoming, entry.incoming) or "firewall"
        head = (entry.event, entry.kind, zone)
        what = service(_number(entry.proto), entry.port)
        key: Key = (*head, entry.source, entry.target, what)
        if key not in self._counts and len(self._counts) >= MOST:
            key = (*head, "", "", "")
        self._counts.setdefault(key, [0, entry.sport])[0] += 1

    def attempts(self) -> list[Attempt]:
        """What was counted."""
        return [Attempt(self.at, *key, count, sport) for key, (count, sport) in self._counts.items()]

    def events(self, dropped: Mapping[str, int]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Kind, subject and data of the events for the journal. `dropped` counts all refused packets since the last minute, by reason."""
        found = self.attempts()
        if found or dropped:
            yield KIND, "firewall", {"minute": self.at, "dropped": dict(dropped), "rows": [_row(one) for one in found]}
        for source, zone, count, targets, services in scans(found):
            yield SCAN, source, {"minute": self.at, "zone": zone, "packets": count, "targets": targets, "services": services}


def _number(proto: str) -> int:
    return int(proto) if proto.isdecimal() else PROTOCOLS.get(proto, 0)


def _row(one: Attempt) -> list[str | int]:
    return [one.event, one.kind, one.zone, one.source, one.target, one.service, one.count, one.sport]


def scans(found: Iterable[Attempt]) -> Iterator[tuple[str, str, int, int, int]]:
    """Who tried many different things that were refused within the minute: source, zone, packets, how many targets and services."""
    tried: dict[tuple[str, str], list[Attempt]] = {}
    for one in found:
        if one.source and one.event != "access":
            tried.setdefault((one.source, one.zone), []).append(one)
    for (source, zone), rows in tried.items():
        if len(rows) >= MANY:
            yield source, zone, sum(row.count for row in rows), len({row.target for row in rows}), len({row.service for row in rows})


def attempts(journal: Journal, since: float = 0.0, until: float = 0.0) -> Iterator[Attempt]:
    """Everything that was tried in this time (seconds since the epoch, 0 is no bound), oldest first."""
    for event in _events(journal, KIND, since):
        at = event.data["minute"]
        if at >= since and (not until or at < until):
            yield from (Attempt(at, *row) for row in event.data["rows"])


def dropped(journal: Journal, since: float = 0.0, until: float = 0.0) -> Counter[str]:
    """How many packets were really refused in this time, by reason, logged or not; from the rules' own counters."""
    found: Counter[str] = Counter()
    for event in _events(journal, KIND, since):
        if event.data["minute"] >= since and (not until or event.data["minute"] < until):
            found.update(event.data["dropped"])
    return found


def scanners(journal: Journal, since: float = 0.0) -> list[Event]:
    """Sources that scanned, oldest first: the events of kind `firewall.scan`."""
    return list(_events(journal, SCAN, since))


def _events(journal: Journal, kind: str, since: float) -> Iterator[Event]:
    after = 0
    # An event is written when its minute is over, so never before what it tells.
    while page := journal.events(kind=kind, after=after, limit=PAGE, since=since):
        after = page[-1][0]
        yield from (event for _, event in page)


def chosen(found: Iterable[Attempt], **wanted: str) -> Iterator[Attempt]:
    """Those whose `event`, `kind`, `zone`, `source`, `target` or `service` is the given one; a service matches by name or by tcp/445."""
    names = {name: value for name, value in wanted.items() if value}
    for one in found:
        if all(value in (words(one.service) if name == "service" else {getattr(one, name)}) for name, value in names.items()):
            yield one


def words(what: str) -> set[str]:
    """Everything by which a service may be asked for: `smtp (tcp/25)`, `smtp`, `tcp/25`."""
    name, _, rest = what.partition(" (")
    return {what, name, rest.rstrip(")")}


def totals(found: Iterable[Attempt], *by: str) -> list[tuple[tuple[str, ...], int]]:
    """How many packets for each value of these fields, most first: `totals(rows, "zone", "service")`."""
    counts: Counter[tuple[str, ...]] = Counter()
    for one in found:
        counts[tuple(str(getattr(one, name)) for name in by)] += one.count
    return counts.most_common()


@dataclass(frozen=True, slots=True)
class Together:
    """One source that did different kinds of things within one minute: `kinds` are prefixes of logged flows, or why it was refused."""

    at: float
    source: str
    zone: str
    kinds: tuple[str, ...]
    attempts: tuple[Attempt, ...]


def together(found: Iterable[Attempt]) -> Iterator[Together]:
    """Same host, same minute: who was let through and refused, or refused for different reasons, at one time."""
    groups: dict[tuple[float, str, str], list[Attempt]] = {}
    for one in found:
        if one.source:
            groups.setdefault((one.at, one.source, one.zone), []).append(one)
    for (at, source, zone), rows in groups.items():
        kinds = tuple(dict.fromkeys(row.kind for row in rows))
        if len(kinds) > 1:
            yield Together(at, source, zone, kinds, tuple(rows))


def refused(listing: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """All packets that the loaded rules have refused, by reason, from the counters in a JSON listing of nft (its `nftables` items)."""
    found: Counter[str] = Counter()
    for item in listing:
        rule = item.get("rule", {})
        if str(rule.get("chain")).startswith(REFUSING) and rule.get("comment"):
            found[rule["comment"]] += sum(part["counter"]["packets"] for part in rule["expr"] if part.get("counter"))
    return found
