"""Findings of an audit on the terminal, or as JSON.

Raises: nothing.
"""

from __future__ import annotations

import json
from collections import Counter

import msgspec
from rich.console import Console
from rich.markup import escape

from gatepost.integrity.audit.finding import AuditFinding, Severity

COLOURS = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan"}


def show_findings(title: str, found: list[AuditFinding], *, as_json: bool) -> None:
    """Write findings, the worst first, each with its reason and remedy."""
    if as_json:
        print(json.dumps([msgspec.to_builtins(finding) for finding in found], indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    counts = Counter(finding.severity for finding in found)
    console.print(f"{escape(title)}: " + (", ".join(f"{counts[s]} {s}" for s in Severity if counts[s]) or "nothing found"))
    for finding in found:
        console.print(f"\n  [{COLOURS[finding.severity]}]{finding.severity:8}[/]  {escape(finding.area)}: {escape(finding.reason)}")
        console.print(f"            remedy: {escape(finding.remedy)}")
