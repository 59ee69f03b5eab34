"""What the file system check found: the newest signed report, its canary, and accepting changes that were meant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from starlette.responses import Response

from gatepost.console.visit import Refused, Visit
from gatepost.integrity import text
from gatepost.integrity.chain import ChainError
from gatepost.integrity.notify import ALIVE, FINDING, is_alarm, sentence
from gatepost.integrity.report import Report, Status, opened_report
from gatepost.integrity.sign import KeyFileError
from gatepost.integrity.state import State

SHOWN = 500
"""Findings on the screen; the report has all."""

ACCEPTED = "integrity.accepted"


TOLD = 40
"""Events on the screen."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event: when (seconds since the epoch), in words, and whether it is an alarm."""

    at: float
    text: str
    alarm: bool


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest report, or why there is none that can be shown."""

    report: Report | None
    problem: str = ""


def show(visit: Visit) -> Response:
    """The newest report, when its signature is right."""
    found = newest(visit)
    well = found.report is not None and found.report.status is Status.WELL
    return visit.page(
        "integrity.html",
        report=found.report,
        problem=found.problem,
        text=text,
        well=well,
        shown=SHOWN,
        accepted=visit.console.journal.newest(ACCEPTED, 20),
        told=_told(visit),
    )


def _told(visit: Visit) -> list[Told]:
    """What checks and live watch wrote down last; findings are in the reports."""
    newest_first = visit.console.journal.newest("integrity.", TOLD * 5)
    events = (event for event in newest_first if event.kind not in (ACCEPTED, FINDING, ALIVE))
    return [Told(e.at, sentence(e.kind, e.subject, e.data), is_alarm(e.kind)) for e in islice(events, TOLD)]


def newest(visit: Visit) -> Newest:
    """The newest report of this host, its signature checked."""
    section = visit.console.site.integrity
    state = State(Path(visit.console.site.site.state) / "integrity", section.signer, section.strict)
    try:
        path = state.last_report()
        if path is None:
            return Newest(None, visit.words("No check has run yet; begin with gatepost integrity init, then gatepost integrity check."))
        return Newest(opened_report(path.read_bytes(), state.ledger_keys(), path.name)[0])
    except ChainError as error:
        return Newest(None, f"{visit.words('The newest report cannot be trusted:')} {error}")
    except (OSError, KeyFileError) as error:
        return Newest(None, f"{visit.words('The newest report cannot be read:')} {error}")


def accept(visit: Visit) -> Response:
    """Accept the chosen findings."""
    chosen = visit.all_sent("finding")
    if not all(one.isascii() and one.isdigit() for one in chosen):
        raise Refused(400, visit.words("Nothing was chosen: tick the changes first."))
    carry_out(visit, frozenset(map(int, chosen)), visit.sent("why").strip(), visit.sent("sequence"))
    return visit.go("/integrity")


def carry_out(visit: Visit, chosen: frozenset[int], why: str, sequence: str) -> list[str]:
    """Accept findings by their numbers in report `sequence`, which must still be the newest; who and why stand in ledger and journal."""
    report = newest(visit).report
    if not chosen:
        raise Refused(400, visit.words("Nothing was chosen: tick the changes first."))
    if not why:
        raise Refused(400, visit.words("Say why: the reason stands in the ledger and in the next report."))
    if report is None or str(report.sequence) != sequence:
        raise Refused(409, visit.words("There is a newer report meanwhile; look at it first."))
    paths = visit.console.desk.accept(chosen, visit.user.name, why)
    visit.console.desk.tell(ACCEPTED, "integrity", {"by": visit.user.name, "why": why, "report": report.sequence, "paths": paths[:SHOWN]})
    visit.console.accounts.note(visit.user.name, visit.client, "accepted changes", f"{len(paths)} of report {report.sequence}")
    return paths
