"""What an audit finds: a value with reason and remedy, for people and for scripts.

Raises: nothing.
"""

from __future__ import annotations

import enum

import msgspec


class Severity(enum.StrEnum):
    """How bad it is: CRITICAL gives somebody the host, LOW is housekeeping."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class AuditFinding(msgspec.Struct, frozen=True):
    """One thing that should not be so. `area` is the part of the audit, `subject` what it is about, `remedy` what to do."""

    area: str
    subject: str
    severity: Severity
    reason: str
    remedy: str


def ordered(findings: list[AuditFinding]) -> list[AuditFinding]:
    """The worst first, each once."""
    return sorted(set(findings), key=lambda f: (f.severity.rank, f.area, f.subject))
