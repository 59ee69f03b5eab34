"""The first screen: one sentence and a light, today's mail, the last two weeks, what was stopped last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.responses import Response

from gatepost.console.listing import MOST, page
from gatepost.console.rights import Right, Role
from gatepost.console.visit import Visit
from gatepost.journal.interface import Query
from gatepost.journal.states import State
from gatepost.report.charts import Bar, bars

DAYS = 14
LAST = 8
HOMES = ((Right.OVERVIEW, "/overview"), (Right.REPORTS, "/reports"), (Right.QUARANTINE, "/quarantine"))


def home(visit: Visit) -> Response:
    """Where this visitor's day begins."""
    return visit.go(next(path for right, path in HOMES if visit.may(right)))


def show(visit: Visit) -> Response:
    """How everything is."""
    journal = visit.console.journal
    today = datetime.fromtimestamp(visit.console.now()).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    counts = [_day(visit, day, today) for day in days]
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
        is_administrator=visit.user.role is Role.ADMINISTRATOR,
    )


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
