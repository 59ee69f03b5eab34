"""The dead man's switch: reports and signs of life that should have come and have not, judged by what the journal holds.

Whoever waits asks this from time to time; each alarm is told once, and again after each further term.
Not its job: asking the journal, telling anybody. It cannot help where the gateway itself is dead: for that another host waits with
`verify-report --max-hours`.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from gatepost.site.integrity import Integrity

MISSING: Final = "integrity.missing"
DEAD: Final = "integrity.watch.dead"

WATCH_HOURS: Final = 2.0
"""Hours without a sign of life of the live watch, which gives one each hour."""

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Heard:
    """When the journal began, and when the newest report and the newest sign of life came (seconds since the epoch, None: never)."""

    since: float
    report: float | None
    beat: float | None


class Silence(NamedTuple):
    """Something that has not come: the kind of its event, the words, and for how many terms now (from 1 on)."""

    kind: str
    text: str
    terms: int


def silences(section: Integrity, heard: Heard, now: float) -> Iterator[Silence]:
    """What is overdue. A site that says nothing of integrity, and never had a report, waits for none."""
    if heard.report is not None or section != Integrity():
        yield from _overdue(MISSING, "gatepost integrity check", section.overdue_hours, heard.report, heard.since, now)
    if section.live:
        yield from _overdue(DEAD, "gatepost integrity watch", WATCH_HOURS, heard.beat, heard.since, now)


def _overdue(kind: str, command: str, hours: float, last: float | None, since: float, now: float) -> Iterator[Silence]:
    silent = now - (since if last is None else last)
    terms = int(silent // (hours * _HOUR))
    if terms > 0:
        never = "" if last is not None else ", and there never was one"
        text = f"nothing has come from {command} for {silent / _HOUR:.0f} hours{never}; look whether it runs"
        yield Silence(kind, text, terms)
