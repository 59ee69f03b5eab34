"""The form "tell us": what an employee saw, as an event of the journal.

What it does: refuses an empty report, cuts a long one, gives the data of the event; a name is not asked for but taken when given.
Not its job: writing to the journal; who may send it.
Raises: `EmptyReportError`.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLD = "incident.told"
"""The kind of the event; its subject is "employees"."""
SUBJECT = "employees"
LONGEST = 4000
KINDS = {
    "mail": "a strange mail",
    "computer": "my computer behaves strangely",
    "visitor": "a stranger, or a door that should be locked",
    "password": "somebody knows or asked for a password or key code",
    "lost": "something is lost or stolen",
    "other": "something else",
}


class EmptyReportError(Exception):
    """Nothing was told."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What somebody saw: one of `KINDS`, in own words, and a name or ""."""

    kind: str
    text: str
    who: str = ""


def incident(kind: str, text: str, who: str = "") -> Incident:
    """A report as it is kept: whole lines without control characters, a kind that is known. Raises EmptyReportError."""
    clean = "\n".join("".join(c for c in line if c.isprintable()).rstrip() for line in text.strip().splitlines())[:LONGEST]
    if not clean:
        raise EmptyReportError("say in a few words what you saw")
    return Incident(kind if kind in KINDS else "other", clean, " ".join(who.split())[:100])


def data(told: Incident) -> dict[str, object]:
    """The data of the event."""
    return {"kind": told.kind, "text": told.text, "who": told.who}
