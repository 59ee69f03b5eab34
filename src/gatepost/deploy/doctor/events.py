"""Checks of what the journal tells: alerts that did not leave, signatures that are not believed alone, the age of the last backup.

Raises: `OSError` where the state cannot be looked into. A journal that cannot be read is told by `storage.journal` alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.deploy import storage
from gatepost.deploy.doctor.check import Machine, Seen, error, warning, well
from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError
from gatepost.site.model import Site

BACKUP = "backup.made"
"""Kind of the journal's event when a backup is whole."""

OLD_BACKUP = 8 * 86_400.0
"""Seconds after which a backup that was made every week has been forgotten."""

FRESH = 86_400.0
"""Seconds for which a failed alert is still worth a finding."""


def _newest(site: Site, kind: str, count: int = 1) -> list[Event]:
    try:
        return storage.journal(site).newest(kind, count)
    except JournalError:
        return []


def alerts(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the last alert left us."""
    events = (*_newest(site, "alert.failed"), *_newest(site, "alert.sent"))
    last = max(events, key=lambda event: event.at, default=None)
    if last is not None and last.kind == "alert.failed" and machine.now() - last.at < FRESH:
        yield error(
            f"the last {last.data['what']} did not leave: {last.data['why']}",
            "mend the way to the next hop of mail.virusalerts and alerts.to",
        )
    elif last is not None:
        yield well("the last alert left us")


def braked(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether a signature is braked and waits for a decision."""
    modes: dict[tuple[str, str], Event] = {}
    for kind in ("signatures.braked", "signatures.undone", "signatures.redone"):
        for event in _newest(site, kind, 1000):
            key = event.data["engine"], event.subject
            if key not in modes or modes[key].at < event.at:
                modes[key] = event
    for (engine, name), event in modes.items():
        if event.kind == "signatures.braked":
            yield warning(
                f"the signature {name} of {engine} hits so much that its mail is held instead of refused",
                f"look at the mail it holds, then gatepost signatures undo {name}, or redo {name} if it is right",
            )


def backup(site: Site, machine: Machine) -> Iterator[Seen]:
    """How old the last backup is, where one was ever made."""
    for event in _newest(site, BACKUP):
        days = (machine.now() - event.at) / 86_400
        if machine.now() - event.at > OLD_BACKUP:
            yield warning(f"the last backup is {days:.0f} days old", "gatepost backup FILE, weekly at least, and away from this machine")
        else:
            yield well(f"the last backup is {days:.0f} days old")
