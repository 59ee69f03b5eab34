"""The numbers of a period besides mail: firewall, checks of the servers, canaries, outages; each from events of the journal.

What it does: counts what `firewall.attempts`, `gatepost integrity check`, `gatepost verify` and the watch wrote down.
Not its job: mail (`figures`), words (`onepager`). What nobody watched is not there, and never counted as well.
Raises: `JournalError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gatepost.firewall.attempts import KIND, attempts, dropped, scanners
from gatepost.integrity.canary import Song
from gatepost.integrity.notify import FINDING, REPORT
from gatepost.integrity.report import Status
from gatepost.journal.event import Event
from gatepost.journal.interface import Journal

VERIFIED = "firewall.verified"
"""The perimeter was tried from outside: subject is the zone, data say well or not."""
DRIFTED = "firewall.drifted"
DOWN, UP = "line.down", "line.up"
"""A line that is watched stopped answering, or answers again; subject is its name."""
SUNG, SILENT = "canary.passed", "canary.failed"
GATEWAY = "mail gateway"
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Firewall:
    """What the firewall refused. `tried` counts logged packets by (zone, service), a lower bound; `refused` is what its own counters say.

    `sources` counts refused packets by (zone, address); `verified` is when it was last tried from outside and whether that went well.
    """

    watched: bool = False
    refused: int = 0
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    scans: int = 0
    drifted: tuple[float, ...] = ()
    verified: tuple[float, bool] | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Checks of the servers' files: how many, in how many the canary was seen, changes that nobody announced (each once), when it broke."""

    checks: int = 0
    alive: int = 0
    changes: int = 0
    broken: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Perimeter:
    """All of it. `canaries` were sent, `silent` are the times of those that failed; `outages` are minutes down by name."""

    firewall: Firewall = field(default_factory=Firewall)
    files: Files = field(default_factory=Files)
    canaries: int = 0
    silent: tuple[float, ...] = ()
    outages: Mapping[str, float] = field(default_factory=dict)


def collect(journal: Journal, since: float, until: float) -> Perimeter:
    """Count a period, given in seconds since the epoch."""
    canary = _both(journal, SUNG, SILENT, since, until)
    lines = _both(journal, UP, DOWN, since, until)
    # What is down at the end was seen to be so until the last that anybody watched.
    end = max((event.at for event in (*canary, *lines)), default=since)
    down = {GATEWAY: minutes(((event.at, event.kind == SUNG) for event in canary), end)} if canary else {}
    for name in dict.fromkeys(event.subject for event in lines):
        found = [(event.at, event.kind == UP) for event in lines if event.subject == name]
        # Lines are told when they change: one that comes up first was down before.
        down[name] = minutes([(since, False), *found] if found[0][1] else found, end)
    silent = tuple(event.at for event in canary if event.kind == SILENT)
    return Perimeter(_firewall(journal, since, until), _files(journal, since, until), len(canary), silent, down)


def minutes(states: Iterable[tuple[float, bool]], end: float) -> float:
    """Minutes down until `end`, from times in order, each with whether it was up from then on."""
    total, went = 0.0, -1.0
    for at, is_up in states:
        if is_up and went >= 0:
            total, went = total + at - went, -1.0
        elif not is_up and went < 0:
            went = at
    return (total + (end - went if went >= 0 else 0.0)) / 60


def _both(journal: Journal, one: str, other: str, since: float, until: float) -> list[Event]:
    return sorted((*_within(journal, one, since, until), *_within(journal, other, since, until)), key=lambda event: event.at)


def _events(journal: Journal, kind: str, since: float) -> Iterator[Event]:
    after = 0
    while page := journal.events(kind=kind, after=after, limit=PAGE, since=since):
        after = page[-1][0]
        yield from (event for _number, event in page)


def _within(journal: Journal, kind: str, since: float, until: float) -> list[Event]:
    return [event for event in _events(journal, kind, since) if since <= event.at < until]


def _firewall(journal: Journal, since: float, until: float) -> Firewall:
    tried: Counter[tuple[str, str]] = Counter()
    sources: Counter[tuple[str, str]] = Counter()
    for one in attempts(journal, since, until):
        if one.event != "access":
            tried[one.zone, one.service] += one.count
            sources[one.zone, one.source] += one.count
    verified = _within(journal, VERIFIED, since, until)
    return Firewall(
        watched=bool(journal.events(kind=KIND, limit=1, since=since)),
        refused=max(dropped(journal, since, until).total(), tried.total()),
        tried=tried,
        sources=sources,
        scans=sum(event.at < until for event in scanners(journal, since)),
        drifted=tuple(event.at for event in _within(journal, DRIFTED, since, until)),
        verified=(verified[-1].at, bool(verified[-1].data.get("well"))) if verified else None,
    )


def _files(journal: Journal, since: float, until: float) -> Files:
    reports = _within(journal, REPORT, since, until)
    told = {(event.data["host"], event.subject, event.data["what"]) for event in _within(journal, FINDING, since, until)}
    most = max((event.data["findings"] for event in reports), default=0)
    alive = sum(event.data["canary"] == Song.ALIVE for event in reports)
    broken = tuple(event.at for event in reports if event.data["status"] == Status.BROKEN)
    return Files(len(reports), alive, max(len(told), most), broken)
