"""Viruses caught: each infected mail of a period, with what became of it.

Not its job: layout (`render`).
Raises: `JournalError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatepost.journal.interface import Journal
from gatepost.report.figures import Period
from gatepost.report.story import ENDS


@dataclass(frozen=True, slots=True)
class Catch:
    """One infected mail. `viruses` and `engines` name what was found and by whom, `ends` what became of it for its recipients, in words."""

    at: float
    sender: str
    recipients: tuple[str, ...]
    directions: tuple[str, ...]
    subject: str
    viruses: tuple[str, ...]
    engines: tuple[str, ...]
    ends: tuple[str, ...]
    message_id: str
    digest: str


def caught(journal: Journal, period: Period) -> tuple[Catch, ...]:
    """All infected mails of a period, oldest first."""
    found = (_catch(at, data) for at, data in journal.facts(period.since, period.until))
    return tuple(catch for catch in found if catch.viruses)


def _catch(at: float, data: Mapping[str, Any]) -> Catch:
    viruses = [one for one in data["findings"] if one["kind"] == "virus"]
    recipients = data["recipients"]
    return Catch(
        at=at,
        sender=data["sender"],
        recipients=tuple(one["address"] for one in recipients),
        directions=_each(one["direction"] for one in recipients),
        subject=data["subject"],
        viruses=_each(one["name"] for one in viruses),
        engines=_each(one["source"] for one in viruses),
        ends=_each(ENDS[one["disposition"]] for one in recipients),
        message_id=data["message_id"],
        digest=data["digest"],
    )


def _each(names: Any) -> tuple[str, ...]:
    """Each name once, in order."""
    return tuple(dict.fromkeys(names))
