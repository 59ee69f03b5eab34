"""Which engine is certified, as receipts and journal say it of each mail.

What it does: remembers the last certificate of each engine, and puts its id on the report of that engine with that version and those
signatures. Another version, or other signatures, are not certified until somebody has them tried.
Not its job: certifying (`gatepost.mail.inspect.certify`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gatepost.journal.event import Event
from gatepost.mail.model import EngineReport, Verdict

CERTIFIED = "engine.certified"
"""The kind of the journal's event; its data is the certificate."""


class _Certificate(NamedTuple):
    version: str
    signatures: str
    id: str


class Certificates:
    """The last certificate of each engine. `events` are those of the kind CERTIFIED, oldest first."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._held: dict[str, _Certificate] = {}
        for event in events:
            self.learn(event.data)

    def learn(self, data: Mapping[str, Any]) -> None:
        """Take the last certificate of an engine; one that failed takes away the one before."""
        engine = str(data.get("engine", ""))
        self._held.pop(engine, None)
        if data.get("passed") is True:
            self._held[engine] = _Certificate(str(data.get("version", "")), str(data.get("signatures", "")), str(data.get("id", "")))

    def put(self, verdict: Verdict) -> Verdict:
        """The verdict with the certificates of the engines that looked."""
        return replace(verdict, engines=tuple(map(self._certified, verdict.engines))) if self._held else verdict

    def _certified(self, report: EngineReport) -> EngineReport:
        held = self._held.get(report.name)
        if held is None or (held.version, held.signatures) != (report.version, report.signatures):
            return report
        return replace(report, certificate=held.id)
