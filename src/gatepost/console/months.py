"""The figures of a month for the reports, counted beside the screens and remembered; and documents as files.

Not its job: what stands in a report (`gatepost.report`), the screens.
Raises: `Refused` for a month that is none; `JournalError`.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from starlette.responses import Response

from gatepost.console.visit import Console, Refused, Visit
from gatepost.report.figures import Figures, Period, PeriodError, collect, month

REMEMBERED = 24
"""Months whose figures are kept in memory."""
STALE = 600.0
"""Seconds after which the figures of a month that goes on are counted again."""
_BEGINNING = threading.Lock()

TYPES = {"pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "text": "text/plain"}


def period(visit: Visit) -> Period:
    """The month that was asked for, or this one."""
    try:
        return month(visit.asked("month") or time.strftime("%Y-%m", time.localtime(visit.console.now())))
    except PeriodError as error:
        raise Refused(400, str(error)) from None


@dataclass(frozen=True, slots=True)
class Counted:
    """The figures of a month, and when they were counted (seconds since the epoch)."""

    at: float
    figures: Figures


def figures(visit: Visit, asked: Period, patience: float | None) -> Counted | None:
    """The figures of a month; None when they are not there within `patience` seconds.

    A million mails take long to count, so that happens beside the screens, one month at a time; what was counted before is shown meanwhile.
    A month that is over is counted once.
    """
    memory: dict[str, Counted] = visit.console.memory.setdefault("figures", {})
    kept = memory.get(asked.name)
    now = visit.console.now()
    if kept and (kept.at >= asked.until or now - kept.at <= STALE):
        return kept
    work = _begin(visit.console, asked, now)
    if kept:
        return kept
    try:
        return work.result(patience)
    except TimeoutError:
        return None


def _begin(console: Console, asked: Period, now: float) -> Future[Counted]:
    """Count a month, unless somebody does already."""
    with _BEGINNING:
        counter: ThreadPoolExecutor = console.memory.setdefault("counter", ThreadPoolExecutor(1, "counter"))
        work: dict[str, Future[Counted]] = console.memory.setdefault("counting", {})
        if asked.name not in work or work[asked.name].done():
            work[asked.name] = counter.submit(_count, console, asked, now)
        return work[asked.name]


def _count(console: Console, asked: Period, now: float) -> Counted:
    memory: dict[str, Counted] = console.memory["figures"]
    memory[asked.name] = counted = Counted(now, collect(console.journal, asked))
    while len(memory) > REMEMBERED:
        del memory[next(iter(memory))]
    return counted


def file(content: bytes, name: str, form: str) -> Response:
    """A document to keep."""
    ending = "txt" if form == "text" else form
    return Response(content, media_type=TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'})
