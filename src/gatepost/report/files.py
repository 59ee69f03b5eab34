"""The integrity report of a period: each check of each host, what changed and was not announced, what was explained and by whom.

What it does: arranges the signed reports that the checks left behind.
Not its job: verifying them; what is wrong with a report is handed in beside it.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gatepost.integrity.canary import Song
from gatepost.integrity.report import Report, Status
from gatepost.integrity.text import moment, severity_word
from gatepost.report.paper import Block, Heading, Paper, Points, Table, Text

MOST = 60
"""Changes listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One report, and what is wrong with it (nothing: it is genuine)."""

    report: Report
    problems: tuple[str, ...] = ()


def files_paper(company: str, period: str, kept: Sequence[Kept]) -> Paper:
    """The document, from reports in the order of time."""
    blocks = (*_headline(kept), *_changes(kept), *_explained(kept), *_checks(kept))
    return Paper(company, "Integrity of the servers", period, blocks)


def _headline(kept: Sequence[Kept]) -> Iterator[Block]:
    if not kept:
        yield Text("No check of the servers' files took place in this time.", "ill")
        return
    doubtful = sum(bool(one.problems) or one.report.status is Status.BROKEN for one in kept)
    found = _distinct(kept)
    alive = sum(one.report.canary is not None and one.report.canary.song is Song.ALIVE for one in kept)
    said = f"{len(kept)} checks; {len(found)} changes that nobody announced; {alive} of {len(kept)} checks proved to be alive."
    yield Text(said, "ill" if doubtful or found else "well")
    for one in kept:
        if one.problems:
            yield Text(f"Report {one.report.sequence} of {one.report.host} is not genuine: {'; '.join(one.problems)}.", "ill")
        for alarm in one.report.alarms:
            yield Text(f"{moment(one.report.finished)}, {one.report.host}: {alarm.text}", "ill")


def _distinct(kept: Sequence[Kept]) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Each change once, with when it was first seen."""
    found: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for one in kept:
        for change in one.report.findings:
            key = (one.report.host, change.path, change.kind)
            row = (
                moment(one.report.finished),
                one.report.host,
                change.path,
                change.kind,
                f"{severity_word(change.severity)}, {change.rule}",
            )
            found.setdefault(key, row)
    return found


def _changes(kept: Sequence[Kept]) -> Iterator[Block]:
    yield Heading("Changes that nobody announced")
    rows = tuple(_distinct(kept).values())
    if not rows:
        yield Text("None.")
        return
    yield Table(("first seen", "host", "file", "what", "weight"), rows[:MOST])
    if len(rows) > MOST:
        yield Text(f"and {len(rows) - MOST:,} more", "note")


def _explained(kept: Sequence[Kept]) -> Iterator[Block]:
    counts: dict[tuple[str, str], int] = {}
    for one in kept:
        for reason in one.report.explained:
            counts[reason.by, reason.why] = counts.get((reason.by, reason.why), 0) + reason.count
    if counts:
        yield Heading("Changes with a known reason")
        yield Points(tuple(f"{count:,} by {by}: {why}" for (by, why), count in sorted(counts.items(), key=lambda pair: -pair[1])[:MOST]))


def _checks(kept: Sequence[Kept]) -> Iterator[Block]:
    if kept:
        yield Heading("Checks")
        rows = tuple(
            (
                moment(one.report.finished),
                one.report.host,
                str(one.report.sequence),
                f"{one.report.tally.entries:,}",
                one.report.status.value,
                "not genuine" if one.problems else "genuine",
            )
            for one in kept
        )
        yield Table(("when", "host", "report", "objects", "result", "signature and chain"), rows)
