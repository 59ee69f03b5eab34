"""A month of made-up mail, and of what happened round it, in the state folder of a tried site, so that console and reports can be seen with something in them.

What it does: writes journal and quarantine as the keeper would have.
Not its job: real sites; it refuses a journal that has mail in it.
Raises: `PretendError`; `JournalError` and `OSError` when the folder cannot be written.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from pathlib import Path

from gatepost.deploy import storage
from gatepost.journal.interface import Query
from gatepost.mail.act.contents import Contents
from gatepost.report.traffic import Sent, month
from gatepost.report.traffic_perimeter import perimeter
from gatepost.services import keys
from gatepost.site.model import Site

DAYS = 31
GROUP = 5_000
"""Mails in one commit."""


class PretendError(Exception):
    """There is real mail already."""


def pretend(site: Site, now: datetime, mails: int = 20_000, viruses: int = 41) -> int:
    """Write `mails` mails of the 31 days before `now`, so many of them infected, with scans, checks and an outage; gives how many events."""
    state = Path(site.site.state)
    journal = storage.journal(site, writes=True)
    try:
        if journal.search(Query(limit=1)):
            raise PretendError(f"{state} has mail in it already; name another folder")
        key = keys.secret(state / "keys", "quarantine") if site.quarantine.encrypt else None
        contents = Contents(state / "quarantine", key)
        start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
        around = (Sent((event,)) for event in perimeter(start, now))
        made = merge(month(start, now, mails, viruses), around, key=lambda sent: sent.events[0].at)
        count = 0
        while group := list(islice(made, GROUP)):
            for sent in group:
                if sent.kept:
                    contents.put(sent.kept)
            events = [event for sent in group for event in sent.events]
            journal.append(events, sync=True)
            count += len(events)
        return count
    finally:
        journal.close()
