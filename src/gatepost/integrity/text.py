"""A report as plain text: for the terminal, the mail and the printer. The first line says all that a hurried reader needs.

Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from gatepost.integrity.canary import MEANING, Song
from gatepost.integrity.chain import START
from gatepost.integrity.report import Finding, Report, Status

HEADLINE: Final = {
    Status.WELL: "ALL WELL: nothing changed that nobody announced",
    Status.FINDINGS: "{count} UNEXPLAINED {noun}",
    Status.BROKEN: "COULD NOT CHECK, or the result cannot be trusted",
}

SHOWN: Final = 200
"""Findings in a text; the report file and --json have more."""

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "*", "unchecked": "?", "forbidden": "!"}


def headline(report: Report) -> str:
    """The result in one line."""
    count = len(report.findings) + report.hidden
    return HEADLINE[report.status].format(count=count, noun="CHANGE" if count == 1 else "CHANGES")


def rendered(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report)) + "\n"


def severity_word(severity: int) -> str:
    """The class of a severity in a word."""
    return "critical" if severity >= 100 else "high" if severity >= 66 else "medium" if severity >= 33 else "low"  # noqa: PLR2004 - the classes


def moment(seconds: float) -> str:
    """A time for people, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def canary_line(report: Report) -> str:
    """What the canary says, in one line."""
    if report.canary is None:
        return "none: no check took place"
    mark = "seen" if report.canary.song is Song.ALIVE else report.canary.song.upper()
    return f"{mark}, nonce {report.canary.nonce[:8]}: {MEANING[report.canary.song]}"


def chain_line(report: Report) -> str:
    """What the report hangs on."""
    before = f"follows report {report.sequence - 1} ({report.former[:12]})" if report.former != START else "the first report"
    return f"{before}, ledger of {report.ledger_records} records ({report.ledger[:12]})"


def finding_lines(number: int, finding: Finding) -> Iterator[str]:
    """One finding with its number: what happened to which path, then the details below."""
    yield f"{number:5} {_SIGNS.get(finding.kind, '?')} {finding.kind:9} {finding.path}"
    for name, old, new in telling(finding.details):
        yield f"        {name:12} {short(name, old)}  ->  {short(name, new)}"
    if finding.note:
        yield f"        {finding.note}"


def telling(details: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The details without the change time where something else tells more."""
    return [d for d in details if d[0] != "ctime" or len(details) == 1]


def short(name: str, value: str) -> str:
    """A value cut to what people compare: the start of a digest, a time to the second."""
    return value[:12] if name == "content" else value.replace(" UTC", "").partition(".")[0] if name in ("mtime", "ctime") else value


def _lines(report: Report) -> Iterator[str]:
    yield headline(report)
    yield f"host {report.host}, report {report.sequence}, {moment(report.finished)}"
    for alarm in report.alarms:
        yield f"\n  ALARM  {alarm.name}: {alarm.text}"
    yield from _findings(report)
    yield from _explained(report)
    yield ""
    yield f"  canary    {canary_line(report)}"
    yield f"  looked at {_work(report)}"
    yield f"  baseline  {report.baseline[:12] or 'none'}, made {moment(report.baseline_made) if report.baseline_made else 'never'}"
    yield f"  chain     {chain_line(report)}"
    for line in report.accepted:
        yield f"  ledger    {line}"
    for note in report.notes:
        yield f"  note      {note}"


def _work(report: Report) -> str:
    tally = report.tally
    seconds = max(report.finished - report.started, 0.0)
    audited = f" ({tally.audited:,} of them by lot)" if tally.audited else ""
    return f"{tally.entries:,} objects, read {tally.read:,}{audited}, {tally.bytes / 1e6:,.0f} MB, {report.mode}, {seconds:.1f} s"


def _findings(report: Report) -> Iterator[str]:
    left = SHOWN
    groups = sorted({(-f.severity, f.rule) for f in report.findings})
    for negative, rule in groups:
        members = [(n, f) for n, f in enumerate(report.findings, 1) if (-f.severity, f.rule) == (negative, rule)]
        yield f"\n{rule} (severity {-negative}, {severity_word(-negative)}): {len(members)}"
        for number, finding in members[: max(left, 0)]:
            yield from finding_lines(number, finding)
        left -= len(members)
    if report.findings:
        yield "\nMeant by somebody?  gatepost integrity accept NUMBER... --why REASON   (also --path, --package, --all)"
    if left < 0 or report.hidden:
        yield f"  ... and {max(-left, 0) + report.hidden:,} more; --json lists {len(report.findings):,}"


def _explained(report: Report) -> Iterator[str]:
    if report.explained:
        yield f"\nExplained: {sum(e.count for e in report.explained):,} changes"
        width = min(48, max(len(e.by) for e in report.explained))
        for one in report.explained:
            yield f"    {one.by:{width}}  {one.count:6,}  {one.why}"
