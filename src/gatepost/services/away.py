"""What the keeper does about a store that is away: says so once, and takes nothing for recorded that it cannot see.

Not its job: sending them on (`gatepost.journal.shipped`), the words to the administrator.
Raises: nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gatepost.journal.interface import Journal, JournalError, Query

log = logging.getLogger(__name__)

ROUND = 10.0
"""Seconds between two looks; a server that restarts within them is no news."""


async def watch(journal: Journal, tell: Callable[[str], None], pause: float = ROUND) -> None:
    """Look for ever; `tell` is given the reason, once for each time that the store is away."""
    before = ""
    while True:
        await asyncio.sleep(pause)
        now = journal.trouble()
        if now and not before:
            tell(now)
        elif before and not now:
            log.warning("all events reach PostgreSQL again")
        before = now


def recorded(journal: Journal, identifier: str) -> bool:
    """Whether a mail is in the journal; not, when nobody can look: then its sender keeps it."""
    try:
        return bool(journal.search(Query(id=identifier, limit=1)))
    except JournalError as error:
        log.error("nobody knows whether mail %s is recorded: %s", identifier, error)  # noqa: TRY400 the reason is known
        return False
