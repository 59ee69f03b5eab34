"""The outbreak brake: a signature that suddenly hits much mail which other engines find clean is not believed alone. Pure.

What it does: counts hits of signatures that stand alone, says when their rate has jumped, and takes from such a signature's word what it
says alone. It never takes anything from a mail that two engines hit.
Not its job: remembering which signatures are braked or undone, telling anybody (`gatepost.services.brakes`); what happens to the mail (`decide`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gatepost.mail.model import EngineState, Finding, Kind, Verdict
from gatepost.site.signatures import Brake

SLOTS = 12
"""Parts of the window in which hits are counted; the oldest part goes when a new one begins."""

WEEK = 7 * 86_400.0

MOST = 10_000
"""So many signatures are counted; names come from engines, never from what a mail says."""

SEPARATOR = "\x1f"
"""Between engine and name in a key; no name of an engine has it."""

Signature = tuple[str, str]
"""The engine and the name that it gives."""


class Mode(StrEnum):
    """How the word of one signature counts when it stands alone.

    BRAKED by its rate: mail is held, not refused. UNDONE by the administrator: it does not count. TRUSTED by the administrator: it counts, whatever its rate.
    """

    BRAKED = "braked"
    UNDONE = "undone"
    TRUSTED = "trusted"


def ease(findings: tuple[Finding, ...], modes: Mapping[Signature, Mode]) -> tuple[tuple[Finding, ...], frozenset[Signature]]:
    """The findings as they count: what a braked or undone signature says alone is a suspicion. Also those signatures that may pass.

    Where two engines call a mail a virus nothing is taken away, whatever was said of their signatures.
    """
    if not modes or len(_accusers(findings, modes)) != 1:
        return findings, frozenset()
    eased = tuple(_eased(finding, modes.get((finding.source, finding.name))) for finding in findings)
    undone = {(one.source, one.name) for one in findings if modes.get((one.source, one.name)) is Mode.UNDONE}
    return eased, frozenset(undone)


def _accusers(findings: Iterable[Finding], modes: Mapping[Signature, Mode]) -> set[str]:
    """The engines that call a mail a virus, or did before their signature was braked."""
    return {one.source for one in findings if one.kind is Kind.VIRUS or (one.kind is Kind.SUSPECT and (one.source, one.name) in modes)}


def _eased(finding: Finding, mode: Mode | None) -> Finding:
    if finding.kind is not Kind.VIRUS or mode not in {Mode.BRAKED, Mode.UNDONE}:
        return finding
    why = f"{finding.kind} by a signature that is {mode}"
    return replace(finding, kind=Kind.SUSPECT, detail=f"{finding.detail}; {why}" if finding.detail else why)


def alone(verdict: Verdict, antivirus: frozenset[str], modes: Mapping[Signature, Mode]) -> frozenset[Signature]:
    """The signatures by which one engine alone calls a mail a virus, while another antivirus engine looked and found it clean."""
    accusers = _accusers(verdict.findings, modes)
    if len(accusers) != 1:
        return frozenset()
    (accuser,) = accusers
    clean = any(one.name in antivirus and one.name != accuser and one.state is EngineState.CLEAN for one in verdict.engines)
    hits = ((one.source, one.name) for one in verdict.findings if one.kind is Kind.VIRUS or (one.source, one.name) in modes)
    return frozenset(hits) if clean else frozenset()


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one window: mails that a signature hit alone, all mails, and how many it hit on average in a window of the week before."""

    hits: int
    mails: int
    usual: float


@dataclass(slots=True)
class Rates:
    """How often each signature stood alone, in slots of time. Keys are engine and name with a separator between, so that it can be kept as JSON."""

    hits: dict[str, dict[int, int]] = field(default_factory=dict)
    mails: dict[int, int] = field(default_factory=dict)

    def add(self, signatures: Iterable[Signature], at: float, rule: Brake) -> None:
        """Count one mail, at seconds since the epoch."""
        slot = _slot(at, rule)
        if slot not in self.mails:
            self._forget(slot, rule)
        self.mails[slot] = self.mails.get(slot, 0) + 1
        for engine, name in signatures:
            key = f"{engine}{SEPARATOR}{name}"
            if key in self.hits or len(self.hits) < MOST:
                counts = self.hits.setdefault(key, {})
                counts[slot] = counts.get(slot, 0) + 1

    def rate(self, signature: Signature, at: float, rule: Brake) -> Rate:
        """The rate of one signature now."""
        oldest = _slot(at, rule) - SLOTS
        counts = self.hits.get(SEPARATOR.join(signature), {})
        before = sum(count for slot, count in counts.items() if slot <= oldest)
        windows = max(WEEK / rule.window, 1.0)
        return Rate(_since(counts, oldest), _since(self.mails, oldest), before / windows)

    def signatures(self) -> list[Signature]:
        """All signatures that are counted."""
        return [(engine, name) for engine, _, name in (key.partition(SEPARATOR) for key in self.hits)]

    def _forget(self, slot: int, rule: Brake) -> None:
        """Drop what is older than a week."""
        oldest = slot - SLOTS - int(WEEK / rule.window * SLOTS)
        for counts in (self.mails, *self.hits.values()):
            for old in [one for one in counts if one < oldest]:
                del counts[old]
        self.hits = {key: counts for key, counts in self.hits.items() if counts}


def _slot(at: float, rule: Brake) -> int:
    return int(at * SLOTS / rule.window)


def _since(counts: Mapping[int, int], oldest: int) -> int:
    return sum(count for slot, count in counts.items() if slot > oldest)


def has_jumped(rate: Rate, rule: Brake) -> bool:
    """Whether a signature with this rate is not believed alone any more."""
    return rule.enabled and rate.hits >= rule.hits and rate.hits >= rule.share * rate.mails and rate.hits >= rule.factor * rate.usual
