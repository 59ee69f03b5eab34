"""The report of one check: a value, its signed line, and what somebody far away can verify about it without this host.

A report names the digest of the report before, the head of the ledger, the baseline and the policy, and carries its canary; so an edited, cut,
replayed or made-up report gives itself away.
Not its job: how it looks (`text`, `html`), and doing the check (`check`).
Raises: `chain.ChainError` from `opened_report`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gatepost.integrity.canary import MEANING, Canary, Song
from gatepost.integrity.chain import START, ChainError, opened, sealed
from gatepost.integrity.scan import Tally
from gatepost.integrity.sign import PublicKey, Signer
from gatepost.system import files

LISTED: Final = 5000
"""Findings that a report lists one by one; further ones are counted."""


class Status(enum.StrEnum):
    """How a check ended: all WELL, with FINDINGS, or BROKEN: it could not check, or what it says cannot be trusted."""

    WELL = "well"
    FINDINGS = "findings"
    BROKEN = "broken"

    @property
    def exit_status(self) -> int:
        """For scripts: 0 all well, 1 findings, 2 could not check."""
        return {Status.WELL: 0, Status.FINDINGS: 1, Status.BROKEN: 2}[self]


class Finding(msgspec.Struct, frozen=True):
    """One change that nobody announced. `details` are attribute, former and present value; `note` what else is known."""

    path: str
    kind: str
    rule: str
    severity: int
    details: tuple[tuple[str, str, str], ...] = ()
    note: str = ""


class Explained(msgspec.Struct, frozen=True):
    """Changes that have a known reason: who made them, what shows it, and how many."""

    by: str
    why: str
    count: int


class Alarm(msgspec.Struct, frozen=True):
    """Something that makes the check itself doubtful: a short name, and a sentence with the remedy."""

    name: str
    text: str


class Report(msgspec.Struct, frozen=True):
    """A whole report. Times are seconds since the epoch, digests hex; `hidden` counts findings beyond `LISTED`.

    `mail` has the findings (by number) for each address that a rule names, `changes` the digest of the file from which changes are accepted.
    """

    host: str
    sequence: int
    former: str
    started: float
    finished: float
    mode: str
    baseline: str = ""
    baseline_made: float = 0.0
    policy: str = ""
    ledger: str = START
    ledger_records: int = 0
    tally: Tally = Tally()
    canary: Canary | None = None
    findings: tuple[Finding, ...] = ()
    hidden: int = 0
    explained: tuple[Explained, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    accepted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mail: dict[str, list[int]] = {}
    last_full: float = 0.0
    changes: str = ""

    @property
    def status(self) -> Status:
        """The one word that counts."""
        if self.alarms or self.canary is None or self.canary.song is not Song.ALIVE:
            return Status.BROKEN
        return Status.FINDINGS if self.findings else Status.WELL


class Verified(msgspec.Struct, frozen=True):
    """What `verify` says of a report: everything that is wrong with it (none: it is genuine), and the digest to compare by telephone."""

    report: Report
    digest: str
    problems: tuple[str, ...]


def sealed_report(report: Report, signer: Signer) -> bytes:
    """The report as one signed line."""
    return sealed({**msgspec.to_builtins(report), "status": report.status.value}, signer)


def opened_report(data: bytes, trusted: Iterable[PublicKey], name: str) -> tuple[Report, str]:
    """The report in a signed line and its digest. Raises ChainError."""
    link = opened(data, trusted, name)
    try:
        return msgspec.convert(link.record, Report), link.digest
    except msgspec.ValidationError as error:
        raise ChainError(f"{name} is signed but cannot be understood: {error}") from error


def verify(path: Path, trusted: tuple[PublicKey, ...], *, nonce: str = "", now: float = 0.0, max_hours: float = 0.0) -> Verified:
    """Check one report file, with its neighbours in the same folder. `now` and `max_hours` ask for its age. Raises ChainError, OSError."""
    report, digest = opened_report(files.read(path), trusted, path.name)
    problems = [*_canary_problems(report, nonce), *_neighbour_problems(path, report, trusted)]
    if max_hours and now - report.finished > max_hours * 3600:
        problems.append(f"it is {(now - report.finished) / 3600:.0f} hours old; a newer one is missing")
    if max_hours and report.finished > now + 3600:
        problems.append("it comes from the future: one of the clocks is wrong")
    return Verified(report, digest, tuple(problems))


def _canary_problems(report: Report, nonce: str) -> list[str]:
    if report.canary is None:
        return ["it has no canary: the check could not look, or the report is forged"]
    problems = [] if report.canary.song is Song.ALIVE else [f"canary {report.canary.song}: {MEANING[report.canary.song]}"]
    if nonce and report.canary.nonce != nonce:
        problems.append("its canary is not the value that was asked for: the report was made before, or elsewhere")
    return problems


def _neighbour_problems(path: Path, report: Report, trusted: tuple[PublicKey, ...]) -> list[str]:
    """Compare with the other reports in the folder: the one before must be the one that is named, and no nonce may come twice."""
    problems = []
    if path.stem.isdigit() and int(path.stem) != report.sequence:
        problems.append(f"it is report {report.sequence} under the name of another: it was shown again")
    for other in sorted(path.parent.glob("[0-9]*.report")):
        if other == path:
            continue
        try:
            before, digest = opened_report(files.read(other), trusted, other.name)
        except ChainError as error:
            if other.stem.isdigit() and int(other.stem) == report.sequence - 1:
                problems.append(f"the report before it is not genuine: {error}")
            continue
        if before.sequence == report.sequence - 1 and digest != report.former:
            problems.append(f"it does not follow report {before.sequence}: one of the two was replaced")
        if before.canary and report.canary and before.canary.nonce == report.canary.nonce:
            problems.append(f"its canary was already in report {before.sequence}: it was replayed")
    return problems
