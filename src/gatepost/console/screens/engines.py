"""The scanning engines: what is declared, and what each did with the newest mails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gatepost.console.visit import Visit
from gatepost.journal.event import Event
from gatepost.journal.interface import Query
from gatepost.journal.project import JUDGED

NEWEST = 200
"""Mails that are counted."""


def show(visit: Visit) -> Response:
    """Each declared engine with its version and signatures, and how its looks at the newest mails ended."""
    events = _newest(visit)
    seen: dict[str, Mapping[str, Any]] = {}
    ends: dict[str, Counter[str]] = {}
    slowest: dict[str, float] = {}
    for event in events:
        for one in event.data["engines"]:
            seen.setdefault(one["name"], one)
            ends.setdefault(one["name"], Counter())[one["state"]] += 1
            slowest[one["name"]] = max(slowest.get(one["name"], 0.0), one["seconds"])
    declared = visit.console.site.engines
    names = [*declared, *(name for name in seen if name not in declared)]
    return visit.page("engines.html", names=names, declared=declared, seen=seen, ends=ends, slowest=slowest, mails=len(events))


def _newest(visit: Visit) -> list[Event]:
    """The events of the newest judged mails, newest first."""
    rows = visit.console.journal.search(Query(limit=NEWEST))
    identifiers = dict.fromkeys(row.id for row in rows)
    firsts = (visit.console.journal.events(subject=identifier, limit=1)[0][1] for identifier in identifiers)
    return [event for event in firsts if event.kind == JUDGED]
