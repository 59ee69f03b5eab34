"""`gatepost scan`: look at mails with nothing else set up.

Raises: nothing; what cannot be read is said, counts as not scanned, and the rest goes on.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gatepost.cli import mailfiles
from gatepost.mail.decide.policy import Context, decide
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Decision, Direction, Disposition, Finding, Kind, Verdict
from gatepost.services.batch import scan_all
from gatepost.site.load import load
from gatepost.site.mail import Engine
from gatepost.site.model import Site
from gatepost.site.problem import SiteError
from gatepost.system import logs

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

CLEAN, FOUND, NOT_SCANNED = 0, 1, 2
"""Exit statuses."""

LISTED = 20
"""With more mails than this only those that are not delivered are listed."""

COLOURS = {
    Disposition.DELIVER: "green",
    Disposition.DELIVER_CLEANED: "yellow",
    Disposition.QUARANTINE: "yellow",
    Disposition.REJECT: "red",
    Disposition.TEMPFAIL: "magenta",
}


class _Results:
    """What came of each mail, written as it comes."""

    def __init__(self, site: Site, *, as_json: bool, few: bool, console: Console) -> None:
        self.status = CLEAN
        self.ends: Counter[str] = Counter()
        self._policy = site.policy
        self._json = as_json
        self._few = few
        self._console = console

    def add(self, name: str, size: int, verdict: Verdict) -> None:
        decision = decide(verdict.findings, Context("", Direction.INBOUND), self._policy)
        self.ends[decision.disposition] += 1
        unscanned = any(finding.kind is Kind.UNCHECKED for finding in verdict.findings)
        self._worse(NOT_SCANNED if unscanned else FOUND if decision.disposition is not Disposition.DELIVER else CLEAN)
        if self._json:
            sys.stdout.write(json.dumps(_as_json(name, size, verdict, decision)) + "\n")
        elif self._few or decision.disposition is not Disposition.DELIVER:
            self._show(name, verdict, decision)

    def unreadable(self, name: str, why: str) -> None:
        self.ends["unreadable"] += 1
        self._worse(NOT_SCANNED)
        sys.stderr.write(f"gatepost scan: {name}: {why}\n")

    def _worse(self, status: int) -> None:
        self.status = max(self.status, status)

    def _show(self, name: str, verdict: Verdict, decision: Decision) -> None:
        colour = COLOURS[decision.disposition]
        self._console.print(f"[{colour}]{decision.disposition:<15}[/{colour}] ", end="")
        self._console.print(_printable(name), markup=False, highlight=False, soft_wrap=True)
        for finding in dict.fromkeys(verdict.findings):
            self._console.print(f"                {_printable(_sentence(finding))}", markup=False, highlight=False, soft_wrap=True)

    def summary(self) -> str:
        return ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items())) or "no mail"


def _as_json(name: str, size: int, verdict: Verdict, decision: Decision) -> dict[str, object]:
    findings = [
        {"kind": finding.kind, "name": finding.name, "part": finding.part, "source": finding.source, "detail": finding.detail}
        for finding in verdict.findings
    ]
    return {
        "path": name,
        "disposition": decision.disposition,
        "rule": decision.rule,
        "findings": findings,
        "parts": len(verdict.parts),
        "bytes": size,
        "seconds": round(verdict.seconds, 6),
    }


def _sentence(finding: Finding) -> str:
    where = f" in {finding.part}" if finding.part else ""
    detail = f": {finding.detail}" if finding.detail else ""
    return f"{finding.kind} {finding.name}{where}{detail} ({finding.source})"


def _printable(text: str) -> str:
    """A mail's words must not move the terminal's cursor."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@app.command()
def scan(
    paths: Annotated[list[str], typer.Argument(metavar="FILE|DIR|MAILDIR|MBOX|-...", help="Mails; a dash reads one from standard input.")],
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a mail.")] = False,
    engine: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SOCKET", help="Ask one more engine, like clamav=unix:/run/clamav/clamd.ctl.")
    ] = None,
    site: Annotated[Path | None, typer.Option(metavar="FILE", help="Engines, limits and policy of this site.")] = None,
    debug: Annotated[bool, typer.Option(help="Log what goes on inside, to standard error.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Scan workers; one a processor when not given.")] = None,
) -> None:
    """Look at mails and say what would happen to them. Nothing is delivered, nothing is changed.

    Exit status: 0 all clean, 1 something was found, 2 something could not be scanned.

    Examples:

        gatepost scan mail.eml

        gatepost scan --json ~/Maildir | jq .disposition

        gatepost scan --engine clamav=unix:/run/clamav/clamd.ctl box.mbox
    """
    logs.to_stderr(debug=True) if debug else logs.to_nowhere()
    chosen = _site(site, engine or [])
    files = mailfiles.find(paths)
    console = Console(stderr=json_lines)
    results = _Results(chosen, as_json=json_lines, few=len(files) <= LISTED, console=console)
    with _progress(console, hidden=len(files) <= LISTED) as bar:
        task = bar.add_task("scanning", total=len(files))

        def mails() -> Iterator[tuple[str, bytes]]:
            for path in files:
                try:
                    yield from mailfiles.read(path)
                except OSError as error:
                    results.unreadable(str(path), error.strerror or str(error))
                bar.advance(task)

        try:
            scan_all(chosen, mails(), results.add, workers)
        except EngineError as error:
            _fail(str(error))
    if not json_lines:
        console.print(f"\n{results.summary()}", highlight=False)
    raise typer.Exit(results.status)


def _progress(console: Console, *, hidden: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)


def _site(path: Path | None, engines: list[str]) -> Site:
    """The site of a file, or the embedded default; with the engines added that were asked for."""
    try:
        chosen = (
            load(path)
            if path
            else Site.model_validate({"site": {"name": "scan"}, "mail": {"domains": ["localhost"], "next_hop": "localhost"}})
        )
    except SiteError as error:
        _fail(str(error))
    if not engines:
        return chosen
    added = {}
    for text in engines:
        name, _, socket = text.partition("=")
        added[name] = Engine.model_validate({"socket": socket} if socket else {})
    return chosen.model_copy(update={"engines": chosen.engines | added})


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"gatepost scan: {sentence}\n")
    raise typer.Exit(NOT_SCANNED)
