"""The fault matrix as a table at the end of a run: row, what was injected, outcome, and whether the invariant held.

Every test in a file `test_faults_*` is a row, named by its own sentence. What the senders heard is told by `note`, which the fixture of the
ways calls; a test without such a ledger says its outcome by pytest's `record_property("outcome", ...)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.support.judge import NO_ANSWER, SOUND, Judgement, Sent

OUTCOME, INVARIANT = "outcome", "invariant"
HELD, CONDEMNED, BROKEN = "held", "control: condemned", "BROKEN"
FILES = "/test_faults_"
LONGEST = 90
"""Letters of a row's name."""


def note(node: pytest.Item, sent: Iterable[Sent], delivered: int, judgements: Iterable[Judgement]) -> None:
    """Keep for the table what the senders of a test heard, and what the judge found."""
    heard = Counter("no answer" if code == NO_ANSWER else str(code) for one in sent for code in one.answers)
    told = ", ".join(f"{code} x {count}" for code, count in sorted(heard.items()))
    node.user_properties.append((OUTCOME, f"{told or 'nothing sent'}; delivered {delivered}"))
    found = set(judgements)
    if found:
        node.user_properties.append((INVARIANT, HELD if found == {SOUND} else CONDEMNED))


def lines(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """The table's lines, one a test; empty when no test of the matrix ran."""
    rows: dict[str, dict[str, str]] = {}
    for report in reports:
        if not isinstance(report, pytest.TestReport) or FILES not in report.nodeid:
            continue
        row = rows.setdefault(report.nodeid, {})
        row.update({name: str(value) for name, value in report.user_properties})
        if report.skipped:
            row[INVARIANT] = f"skipped: {report.longrepr[2]}" if isinstance(report.longrepr, tuple) else "skipped"
        elif report.failed:
            row["failed"] = "yes"
    return [_line(nodeid, row) for nodeid, row in sorted(rows.items())]


def _line(nodeid: str, row: dict[str, str]) -> str:
    name, _, injected = nodeid.rpartition("::")[2].partition("[")
    sentence = name.removeprefix("test_").replace("_", " ")[:LONGEST]
    invariant = BROKEN if "failed" in row else row.get(INVARIANT, HELD)
    return f"{sentence} | {injected.removesuffix(']') or '-'} | {row.get(OUTCOME, '-')} | {invariant}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, under pytest's own summary."""
    table = lines(report for reports in terminalreporter.stats.values() for report in reports)
    if table:
        terminalreporter.section("fault matrix")
        terminalreporter.write_line("row | injected | outcome | invariant held")
        for line in table:
            terminalreporter.write_line(line)
