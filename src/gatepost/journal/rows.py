"""What one judged mail becomes in the tables for searching, as values that every store writes in its own SQL; pure.

Not its job: numbers of rows, SQL (`project`, `postgresql_batch`), the steps of a mail after its first state.
Raises: `LookupError`, `TypeError`, `ValueError` or `AttributeError` for an event without what it must carry, `StateError` for a state no mail begins in.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.journal.event import Event
from gatepost.journal.states import State, StateError, step

JUDGED = "mail.judged"
UNKEPT = "mail.unkept"

HELD = (State.QUARANTINED, State.ACCEPTED)
"""Mail that is not at its end: its events are not forgotten."""

REFUSALS = (StateError, LookupError, TypeError, ValueError, AttributeError)
"""What an event raises that cannot be."""

MESSAGE_COLUMNS = ("id", "at", "sender", "sender_domain", "subject", "client", "message_id", "digest", "size", "verdict", "reason", "kept")


@dataclass(frozen=True, slots=True)
class MailRows:
    """The rows of one mail.

    `message` in the order of MESSAGE_COLUMNS; `recipients`: address, domain, direction, state, rule, each address once;
    `findings`: kind, name, source.
    """

    message: tuple[str, float, str, str, str, str, str, str, int, str, str, bool]
    recipients: tuple[tuple[str, str, str, State, str], ...]
    findings: tuple[tuple[str, str, str], ...]


def mail_rows(event: Event) -> MailRows:
    """The rows of a JUDGED event."""
    data = event.data
    found = data.get("findings", ())
    message = (
        event.subject,
        event.at,
        data["sender"].lower(),
        domain(data["sender"]),
        data.get("subject", ""),
        data.get("client", ""),
        data.get("message_id", ""),
        data["digest"],
        data["size"],
        found[0]["kind"] if found else "clean",
        found[0]["name"] if found else "",
        bool(data.get("kept")),
    )
    recipients: dict[str, tuple[str, str, str, State, str]] = {}
    for one in data["recipients"]:
        address = one["address"].lower()
        recipients.setdefault(address, (address, domain(address), one["direction"], step(None, State(one["state"])), one["rule"]))
    findings = tuple((one["kind"], one["name"], one.get("source", "")) for one in found)
    return MailRows(message, tuple(recipients.values()), findings)


def domain(address: str) -> str:
    """The domain of an address in lower case, with its at sign; "" for the null sender."""
    _, at, after = address.lower().rpartition("@")
    return at + after if at else ""
