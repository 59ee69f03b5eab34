"""Who may do what: rights, and the roles that are made of them, as one table.

Not its job: who somebody is (`accounts`), asking for a right at each screen (`door`).
Raises: nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """One thing that a person may do. ANYBODY and PERSON are no rights: the first needs no login, the second nothing but a login."""

    ANYBODY = "anybody"
    PERSON = "person"
    OVERVIEW = "overview"
    MESSAGES = "messages"
    QUARANTINE = "quarantine"
    CONTENT = "content"
    ACT = "act"
    REPORTS = "reports"
    NETWORK = "network"
    RISKS = "risks"
    PEOPLE = "people"
    MANAGE = "manage"
    ANSWER = "answer"


class Role(StrEnum):
    """What a person is for Gatepost. A USER sees the quarantine of one address, and nothing of anybody else."""

    ADMINISTRATOR = "administrator"
    QUARANTINE_MANAGER = "quarantine-manager"
    AUDITOR = "auditor"
    MANAGER = "manager"
    HR = "hr"
    USER = "user"


_READS = frozenset({Right.OVERVIEW, Right.MESSAGES, Right.QUARANTINE, Right.REPORTS, Right.NETWORK, Right.RISKS})

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: frozenset(Right) - {Right.ANYBODY, Right.PERSON},
    Role.QUARANTINE_MANAGER: frozenset({Right.OVERVIEW, Right.MESSAGES, Right.QUARANTINE, Right.CONTENT, Right.ACT}),
    # Reads everything that is written about mail, but no mail, and changes nothing.
    Role.AUDITOR: _READS,
    Role.MANAGER: frozenset({Right.REPORTS}),
    Role.HR: frozenset({Right.REPORTS, Right.RISKS, Right.ANSWER}),
    Role.USER: frozenset({Right.QUARANTINE, Right.CONTENT, Right.ACT}),
}


def may(role: Role | None, right: Right) -> bool:
    """Whether somebody with this role (None: nobody logged in) may do this."""
    if right is Right.ANYBODY:
        return True
    return role is not None and (right is Right.PERSON or right in RIGHTS[role])
