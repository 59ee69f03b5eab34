"""What several engines' answers mean together. Pure.

What it does: a required engine's word stands; engines of the quorum need a number of votes for VIRUS; an advisory engine's
word is a hint and its silence holds nothing up.
Not its job: asking (`runner`), deciding what happens to the mail (`decide`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gatepost.mail.inspect.runner import Outcome, Role
from gatepost.mail.model import Finding, Kind

_ONLY_A_HINT = {Kind.VIRUS, Kind.BANNED, Kind.AMBIGUOUS, Kind.ENCRYPTED}


def combine(answers: Sequence[tuple[Role, Outcome]], quorum: int) -> tuple[Finding, ...]:
    """Turn every engine's answer into the findings that count; `quorum` is how many votes of quorum engines make a VIRUS."""
    findings: list[Finding] = []
    members: list[Outcome] = []
    for role, outcome in answers:
        if role is Role.REQUIRED:
            findings += outcome.findings
        elif role is Role.QUORUM:
            members.append(outcome)
        else:
            findings += _hints(outcome.findings)
    if members:
        findings += _voted(members, quorum)
    return tuple(findings)


def _voted(members: list[Outcome], quorum: int) -> Iterable[Finding]:
    """Count votes. An engine that did not look at everything might have cast the missing one, so its UNCHECKED then stands."""
    votes = sum(_says(outcome, Kind.VIRUS) for outcome in members)
    findings = [finding for outcome in members for finding in outcome.findings]
    if votes >= quorum:
        return findings
    doubts = sum(_says(outcome, Kind.UNCHECKED) and not _says(outcome, Kind.VIRUS) for outcome in members)
    tally = f"{votes} of {len(members)} engines say so, {quorum} are needed"
    outvoted = [_weaker(finding, tally) if finding.kind is Kind.VIRUS else finding for finding in findings]
    if votes + doubts >= quorum:
        return outvoted
    return [finding for finding in outvoted if finding.kind is not Kind.UNCHECKED]


def _hints(findings: Iterable[Finding]) -> Iterable[Finding]:
    for finding in findings:
        if finding.kind in _ONLY_A_HINT:
            yield _weaker(finding, f"{finding.kind} by the word of an advisory engine")
        elif finding.kind is not Kind.UNCHECKED:
            yield finding


def _weaker(finding: Finding, why: str) -> Finding:
    return replace(finding, kind=Kind.SUSPECT, detail=f"{finding.detail}; {why}" if finding.detail else why)


def _says(outcome: Outcome, kind: Kind) -> bool:
    return any(finding.kind is kind for finding in outcome.findings)
