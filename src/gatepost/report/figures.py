"""The numbers of a period, each counted from the journal's events.

What it does: adds up judged mails (`journal.tally`), what people released, which promises were kept, how old signatures were.
Not its job: words and layout (`onepager`), and numbers that nobody measured: those are None, and the report says so.
Raises: `PeriodError` for a month that is none; `JournalError`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, Query
from gatepost.journal.tally import Tally, tally
from gatepost.report.perimeter import Perimeter
from gatepost.report.perimeter import collect as collect_perimeter

TREND = 12
"""Months of the trend, the reported one among them."""

PAGE = 1000
_EVERYTHING = 10_000_000
_DELIVERS = frozenset({"deliver", "deliver-cleaned"})
_BLIND = frozenset({"failed", "timeout"})
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class PeriodError(Exception):
    """What was given is no month."""


@dataclass(frozen=True, slots=True)
class Period:
    """A month of local time: its name ("2026-11"), and its bounds in seconds since the epoch."""

    name: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept: when, and the mail's Message-ID."""

    at: float
    message_id: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All numbers of a period.

    `infected_in` and `infected_out` count mails with a virus; `held` and `held_spam` count mails kept for somebody, `released` recipients
    whose mail was released. `delivered_unchecked` and `delivered_infected` are the two promises. `trend` counts infected mails by month,
    oldest first. `oldest_signatures` is the worst age in days when a mail was looked at, None where no engine dates its signatures;
    `blind` counts minutes in which an engine did not answer, by engine. `perimeter` has the numbers besides mail.
    """

    period: Period
    tally: Tally
    infected_in: int
    infected_out: int
    held: int
    held_spam: int
    released: int
    delivered_unchecked: tuple[Broken, ...]
    delivered_infected: tuple[Broken, ...]
    trend: tuple[tuple[str, int], ...]
    oldest_signatures: int | None
    blind: Mapping[str, int]
    perimeter: Perimeter = field(default_factory=Perimeter)


@dataclass(slots=True)
class _Watch:
    """What is noticed besides the tally while the month's mails pass."""

    infected: Counter[str] = field(default_factory=Counter)
    infected_mails: int = 0
    held: int = 0
    held_spam: int = 0
    unchecked: list[Broken] = field(default_factory=list)
    carried: list[Broken] = field(default_factory=list)
    oldest: int | None = None
    minutes: set[tuple[str, int]] = field(default_factory=set)


def month(name: str) -> Period:
    """The month called "2026-11"."""
    try:
        start = datetime.strptime(name, "%Y-%m").astimezone()
    except ValueError:
        raise PeriodError(f"{name!r} is no month; write it like 2026-11") from None
    return Period(name, start.timestamp(), _later(start, 1).timestamp())


def _later(start: datetime, months: int) -> datetime:
    """The first of a month so many months later, with that day's own offset from UTC."""
    number = start.year * 12 + start.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 1).astimezone()


def collect(journal: Journal, period: Period) -> Figures:
    """Count a period. Takes seconds for a million mails."""
    watch = _Watch()
    counted = tally((at, data) for at, data in _watched(journal, period, watch))
    return Figures(
        period=period,
        tally=counted,
        infected_in=watch.infected["inbound"],
        infected_out=watch.infected["outbound"],
        held=watch.held,
        held_spam=watch.held_spam,
        released=sum(1 for _ in _within(_all(journal, "mail.released"), period)),
        delivered_unchecked=tuple(watch.unchecked),
        delivered_infected=tuple(watch.carried),
        trend=(*_trend(journal, period)[:-1], (period.name, watch.infected_mails)),
        oldest_signatures=watch.oldest,
        blind=Counter(name for name, _minute in watch.minutes),
        perimeter=collect_perimeter(journal, period.since, period.until),
    )


def _watched(journal: Journal, period: Period, watch: _Watch) -> Iterator[tuple[float, Mapping[str, Any]]]:
    for at, data in journal.facts(period.since, period.until):
        _notice(watch, at, data)
        yield at, data


def _notice(watch: _Watch, at: float, data: Mapping[str, Any]) -> None:
    kinds = {one["kind"] for one in data["findings"]}
    ends = {one["disposition"] for one in data["recipients"]}
    if "virus" in kinds:
        watch.infected_mails += 1
        watch.infected.update({one["direction"] for one in data["recipients"]})
    if "quarantine" in ends:
        watch.held += 1
        watch.held_spam += "spam" in kinds
    if ends & _DELIVERS:
        broken = Broken(at, data["message_id"])
        if "unchecked" in kinds:
            watch.unchecked.append(broken)
        if "virus" in kinds and "deliver" in ends:
            watch.carried.append(broken)
    for engine in data["engines"]:
        if engine["state"] in _BLIND:
            watch.minutes.add((engine["name"], int(at // 60)))
        age = _age(at, engine["signatures"])
        if age is not None:
            watch.oldest = max(age, watch.oldest or 0)


def _age(at: float, signatures: str) -> int | None:
    """Days between the date in a mark of signatures and the mail; None for marks without a date."""
    found = _DAY.search(signatures)
    if found is None:
        return None
    try:
        made = datetime.strptime(found[0], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(int((at - made.timestamp()) // 86_400), 0)


def _trend(journal: Journal, period: Period) -> tuple[tuple[str, int], ...]:
    start = datetime.fromtimestamp(period.since).astimezone()
    firsts = [_later(start, number) for number in range(1 - TREND, 2)]
    rows = journal.search(Query(verdict="virus", since=firsts[0].timestamp(), until=period.until, limit=_EVERYTHING))
    times = {row.number: row.at for row in rows}
    counts = (sum(first.timestamp() <= at < following.timestamp() for at in times.values()) for first, following in pairwise(firsts))
    return tuple((first.strftime("%Y-%m"), count) for first, count in zip(firsts, counts, strict=False))


def _all(journal: Journal, kind: str) -> Iterator[Event]:
    after = 0
    while found := journal.events(kind=kind, after=after, limit=PAGE):
        yield from (event for _number, event in found)
        after = found[-1][0]


def _within(events: Iterable[Event], period: Period) -> Iterator[Event]:
    return (event for event in events if period.since <= event.at < period.until)
