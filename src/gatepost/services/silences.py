"""Listens for the nightly report about the files and the live watch's sign of life in the journal: what has not come is an alarm.

Not its job: when something is overdue (`integrity.silence`), writing and telling (`keeperd`).
Raises: `JournalError`.
"""

from __future__ import annotations

from gatepost.integrity.notify import ALIVE, REPORT
from gatepost.integrity.silence import Heard, silences
from gatepost.journal.event import Event
from gatepost.journal.interface import Journal
from gatepost.site.integrity import Integrity


class Silences:
    """Remembers what it has said, so that each silence is told once a term."""

    def __init__(self, section: Integrity, journal: Journal) -> None:
        self._section = section
        self._journal = journal
        self._told: dict[str, int] = {}

    def due(self, now: float) -> list[Event]:
        """Events for what is overdue and was not told yet; `now` in seconds since the epoch."""
        first = self._journal.events(limit=1)
        if not first:
            return []
        newest = {kind: self._journal.newest(kind, 1) for kind in (REPORT, ALIVE)}
        report, beat = (found[0].at if found else None for found in (newest[REPORT], newest[ALIVE]))
        overdue = tuple(silences(self._section, Heard(first[0][1].at, report, beat), now))
        due = [Event(now, one.kind, "files", {"text": one.text}) for one in overdue if one.terms > self._told.get(one.kind, 0)]
        self._told = {one.kind: one.terms for one in overdue}
        return due
