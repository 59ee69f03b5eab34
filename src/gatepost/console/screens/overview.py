"""The first screen: one sentence and a light, today's mail, the last two weeks, what was stopped last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from gatepost.console.listing import MOST, page
from gatepost.console.rights import Right
from gatepost.console.screens import engines, firewall, risks
from gatepost.console.visit import Visit
from gatepost.journal.event import Event
from gatepost.journal.interface import Query
from gatepost.journal.states import State
from gatepost.report.charts import Bar, bars
from gatepost.signatures.update import OLD

DAYS = 14
LAST = 8
CANARIES = ("canary.passed", "canary.failed")
SONGS = 24
"""Canaries that are shown."""
HOMES = ((Right.OVERVIEW, "/overview"), (Right.REPORTS, "/reports"), (Right.QUARANTINE, "/quarantine"))


def home(visit: Visit) -> Response:
    """Where this visitor's day begins."""
    return visit.go(next(path for right, path in HOMES if visit.may(right)))


def show(visit: Visit) -> Response:
    """How everything is."""
    journal = visit.console.journal
    days = _days(visit)
    counts = [_day(visit, day, days[-1]) for day in days]
    stopped = page(journal, Query(states=(State.QUARANTINED, State.REJECTED), limit=LAST))
    return visit.page(
        "overview.html",
        light=visit.console.desk.light(),
        today=counts[-1],
        most=MOST,
        held=journal.count(Query(states=(State.QUARANTINED,), kept=True), "verdict", MOST),
        stopped=stopped.rows[:LAST],
        chart=bars([_bar(day, count) for day, count in zip(days, counts, strict=True)]),
        engines=_engines(visit),
        canaries=_canaries(visit),
        oldest=max(engines.ages(visit).items(), key=lambda one: one[1], default=None),
        old=OLD,
        risks=risks.open_risks(visit) if visit.may(Right.RISKS) else None,
        last=LAST,
        proved=next(iter(journal.newest(firewall.PROVED, 1)), None) if visit.console.site.zones else None,
    )


def _days(visit: Visit) -> list[datetime]:
    """The midnights of the days shown, today's last."""
    today = datetime.fromtimestamp(visit.console.now()).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=ago) for ago in reversed(range(DAYS))]


def numbers(visit: Visit) -> dict[str, Any]:
    """The same for programs."""
    days = _days(visit)
    return {
        "light": asdict(visit.console.desk.light()),
        "days": {day.strftime("%Y-%m-%d"): dict(_day(visit, day, days[-1])) for day in days},
        "held": dict(visit.console.journal.count(Query(states=(State.QUARANTINED,), kept=True), "verdict", MOST)),
        "canaries": [asdict(event) for event in _canaries(visit)],
        "ages": dict(engines.ages(visit)),
        "risks": len(risks.open_risks(visit) or ()) if visit.may(Right.RISKS) else None,
    }


def _canaries(visit: Visit) -> list[Event]:
    """The newest canaries, newest first."""
    found = [event for kind in CANARIES for event in visit.console.journal.newest(kind, SONGS)]
    return sorted(found, key=lambda event: -event.at)[:SONGS]


def _bar(day: datetime, counts: Mapping[str, int]) -> Bar:
    clean = counts.get("clean", 0)
    return Bar(day.strftime("%d %b"), (("passed", clean), ("stopped", sum(counts.values()) - clean)))


def _day(visit: Visit, day: datetime, today: datetime) -> Mapping[str, int]:
    """Mail of one day by verdict. What days before today had does not change, so it is counted once."""
    memory: dict[datetime, Mapping[str, int]] = visit.console.memory.setdefault("days", {})
    if day in memory:
        return memory[day]
    found = visit.console.journal.count(Query(since=day.timestamp(), until=(day + timedelta(days=1)).timestamp()), "verdict")
    if day < today:
        memory[day] = found
    return found


def _engines(visit: Visit) -> list[Mapping[str, str]]:
    """The engines as the newest mail met them, with the marks of their signatures."""
    newest = visit.console.journal.search(Query(limit=1))
    if not newest:
        return []
    event = visit.console.journal.events(subject=newest[0].id, limit=1)[0][1]
    found: list[Mapping[str, str]] = event.data["engines"]
    return found
