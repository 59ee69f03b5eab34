"""From findings to one disposition, by a table; pure and total.

What it does: asks the site's rules in order, then the safe defaults, what each finding means for one recipient; the worst counts.
Not its job: the reply (`reply`), the zone or direction (`direction`), any effect (`act`).
Raises: nothing: every set of findings has exactly one disposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from gatepost.mail.model import Decision, Direction, Disposition, Finding, Kind
from gatepost.site.mail import Policy, Rule

CLEAN = "clean"
RELEASED = "released"
UNDONE = "undone"

SEVERITY: tuple[Disposition, ...] = (
    Disposition.DELIVER,
    Disposition.DELIVER_CLEANED,
    Disposition.TEMPFAIL,
    Disposition.QUARANTINE,
    Disposition.REJECT,
)
"""From mild to severe. What is certain to be stopped need not come again, so TEMPFAIL stands before the two that stop."""

_STOPPED = {
    Kind.VIRUS: Disposition.REJECT,
    Kind.BANNED: Disposition.QUARANTINE,
    Kind.SPAM: Disposition.QUARANTINE,
    Kind.SUSPECT: Disposition.QUARANTINE,
    Kind.AMBIGUOUS: Disposition.QUARANTINE,
    Kind.ENCRYPTED: Disposition.QUARANTINE,
    Kind.UNCHECKED: Disposition.TEMPFAIL,
}

LASTING_SOURCES = frozenset({"parse", "unpack"})
LASTING_NAMES = frozenset({"poison", "engine-size-limit"})
"""UNCHECKED by these will be so again however often the mail comes: it is too large, too deep, damaged. Asking the sender to come again
would only end in a bounce after days that nobody here hears of, so it is held where somebody can look at it."""

DEFAULTS: dict[Direction, dict[Kind, Disposition]] = dict.fromkeys(Direction, _STOPPED)
"""What happens where no rule of the site matches. SPAM means points from the hold level on; below it see `Policy.spam`."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What an administrator let through by releasing a mail: this finding, judged by this rule, and nothing else."""

    rule: str
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Context:
    """For whom is decided: one recipient, which way the mail goes, the sender's zone, what was released, and undone signatures (engine, name)."""

    recipient: str
    direction: Direction
    zone: str = ""
    passes: frozenset[Pass] = frozenset()
    undone: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Judged:
    disposition: Disposition
    rule: str
    tag: str = ""


def decide(findings: tuple[Finding, ...], context: Context, policy: Policy) -> Decision:
    """What happens to a mail with these findings for this recipient, and why: the finding that decides comes first in the decision."""
    if not findings:
        return Decision(context.recipient, context.direction, Disposition.DELIVER, CLEAN)
    judged = [(finding, _judge(finding, context, policy)) for finding in findings]
    judged.sort(key=lambda pair: -SEVERITY.index(pair[1].disposition))
    worst = judged[0][1]
    delivered = worst.disposition in {Disposition.DELIVER, Disposition.DELIVER_CLEANED}
    tag = next((by.tag for _, by in judged if by.tag), "") if delivered else ""
    ordered = tuple(finding for finding, _ in judged)
    return Decision(context.recipient, context.direction, worst.disposition, worst.rule, ordered, tag)


def passes(decision: Decision, context: Context, policy: Policy) -> frozenset[Pass]:
    """What a release of this decision must let through: each finding that stopped the mail, with its rule."""
    judged = [(finding, _by_rule(finding, context, policy)) for finding in decision.findings]
    return frozenset(Pass(by.rule, finding.kind, finding.name) for finding, by in judged if by.disposition != Disposition.DELIVER)


def unwanted(findings: tuple[Finding, ...], context: Context, policy: Policy) -> tuple[Finding, ...]:
    """The findings of a mail that a cleaned one for this recipient must not have."""
    return tuple(finding for finding in findings if _judge(finding, context, policy).disposition is Disposition.DELIVER_CLEANED)


def _judge(finding: Finding, context: Context, policy: Policy) -> _Judged:
    judged = _by_rule(finding, context, policy)
    if Pass(judged.rule, finding.kind, finding.name) in context.passes:
        return _Judged(Disposition.DELIVER, RELEASED)
    if finding.kind is Kind.SUSPECT and (finding.source, finding.name) in context.undone:
        return _Judged(Disposition.DELIVER, UNDONE)
    return judged


def _by_rule(finding: Finding, context: Context, policy: Policy) -> _Judged:
    level = _spam_level(finding, policy)
    if level == "below":
        return _Judged(Disposition.DELIVER, "default.spam.below")
    for rule in policy.rules:
        if _matches(rule, finding, context):
            return _Judged(Disposition(rule.then), rule.name, rule.tag)
    if level == "tag":
        return _Judged(Disposition.DELIVER, "default.spam.tag", policy.spam.subject)
    if finding.kind is Kind.UNCHECKED and (finding.source in LASTING_SOURCES or finding.name in LASTING_NAMES):
        return _Judged(Disposition.QUARANTINE, f"default.uncheckable.{context.direction}")
    return _Judged(DEFAULTS[context.direction][finding.kind], f"default.{finding.kind}.{context.direction}")


def _spam_level(finding: Finding, policy: Policy) -> str:
    """How spam counts; a score that is no number compares false and so is held."""
    if finding.kind is not Kind.SPAM:
        return ""
    if finding.score < policy.spam.tag:
        return "below"
    return "tag" if finding.score < policy.spam.hold else "hold"


def _matches(rule: Rule, finding: Finding, context: Context) -> bool:
    return (
        finding.kind in rule.findings
        and context.direction in rule.directions
        and (not rule.zones or context.zone in rule.zones)
        and not (finding.kind is Kind.SPAM and finding.score < rule.points)
        and _like(context.recipient.lower(), rule.recipients)
        and _like(finding.name.lower(), rule.names)
    )


def _like(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether any pattern matches; none given matches everything."""
    return not patterns or any(fnmatchcase(text, pattern.lower()) for pattern in patterns)
