"""The journal of a node whose store is PostgreSQL: written to the node's own disk at once, and sent on by a thread.

What it does: an event is promised when it is in the spool; the thread brings the chain on to PostgreSQL, each link once, by comparing the heads
of the two chains, so that neither an answer that was lost nor a server that lost its last seconds makes a gap or a double.
While PostgreSQL is away, events are taken and wait. What rests on the index of mails, which only PostgreSQL has, is refused: searching, and
releasing or deleting what is held.
Not its job: the file (`spool`), the tables (`postgresql`).
Raises: `JournalError`; "away" for what cannot be done now.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gatepost.journal.event import Event
from gatepost.journal.interface import Chained, Column, Glance, Head, Integrity, JournalError, Query, Row
from gatepost.journal.rows import UNKEPT
from gatepost.journal.spool import Spool

log = logging.getLogger(__name__)

BATCH = 500
"""Links in one transaction."""

PAUSE = 1.0
"""Seconds between two attempts while the server is away."""

PATIENCE = 5.0
"""Seconds to wait until what was written before can be read."""

FORGET_EVERY = 1000
"""Links that are confirmed between two cuts of the spool."""

RESTING_ON_THE_INDEX = {"mail.releasing", "mail.released", "mail.deleted", UNKEPT}
"""Kinds of events that somebody decided by what the index said; two nodes must not decide the same."""


class ShippedJournal:
    """A `Journal` of one node. `connect` opens the store, and raises `JournalError` while it is away."""

    def __init__(self, spool: Spool, connect: Callable[[], Chained]) -> None:
        self._spool = spool
        self._connect = connect
        self._remote: Chained | None = None
        self._confirmed = 0
        self._cut = 0
        self._trouble = ""
        self._stopped = False
        self._changed = threading.Condition()
        if spool.start() is None:
            self._remote = connect()
            spool.begin(self._remote.head())
            self._confirmed = spool.head().sequence
        self._thread = threading.Thread(target=self._run, name="journal-shipper", daemon=True)
        self._thread.start()

    def trouble(self) -> str:
        """Why events wait in the spool now; "" when they do not."""
        return self._trouble

    def waiting(self) -> int:
        """How many events PostgreSQL has not confirmed."""
        return self._spool.head().sequence - self._confirmed

    # Sending on.

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._ship()
            except JournalError as error:
                self._failed(error)
            else:
                self._trouble = ""
            with self._changed:
                self._changed.notify_all()
                if not self._stopped and (self._trouble or not self.waiting()):
                    self._changed.wait(PAUSE)

    def _failed(self, error: JournalError) -> None:
        if not self._trouble:
            log.error("events wait in the spool: %s", error)
        self._trouble = str(error)
        if self._remote is not None:
            self._remote.close()
        self._remote = None

    def _ship(self) -> None:
        """Send one batch on."""
        if self._remote is None:
            remote = self._connect()
            self._confirmed = self._agree(remote.head())
            self._remote = remote
        if links := self._spool.links(self._confirmed, BATCH):
            self._remote.receive(links)
            self._confirmed = links[-1].sequence
        if self._confirmed >= self._cut + FORGET_EVERY:
            self._spool.forget(self._confirmed)
            self._cut = self._confirmed

    def _agree(self, head: Head) -> int:
        """The number of the last link that both have: the head of the server, which may have lost some that it confirmed."""
        if self._spool.hash_of(head.sequence) == head.hash:
            return head.sequence
        own = self._spool.head()
        raise JournalError(
            "gone",
            f"PostgreSQL ends this node's chain with event {head.sequence}, and the spool, which ends with {own.sequence}, does not know that one: "
            "another machine writes under this name, or one of the two was put back to an old copy; nothing is lost, and nothing is sent on",
        )

    def _flush(self) -> bool:
        """Wait until everything written so far is in the store; whether it is."""
        wanted = self._spool.head().sequence
        end = time.monotonic() + PATIENCE
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._confirmed >= wanted or self._trouble, end - time.monotonic())
        return self._confirmed >= wanted and not self._trouble

    def _store(self) -> Chained:
        """The store, with everything in it that was written before."""
        if not self._flush() or (remote := self._remote) is None:
            raise JournalError("away", self._trouble or f"{self.waiting()} events wait in the spool for PostgreSQL; try again in a minute")
        return remote

    # Writing.

    def append(self, events: Sequence[Event], *, sync: bool) -> None:
        """Write events in one transaction: all or none. With `sync` they are on this node's disk when this returns."""
        if not events:
            return
        decided = any(event.kind in RESTING_ON_THE_INDEX for event in events)
        if decided:
            self._store()
        self._spool.append(events, sync=sync)
        if decided:
            self._store()
        else:
            with self._changed:
                self._changed.notify_all()

    def prune(self, before: float) -> int:
        """Forget whole partitions of events before that time; gives how many events."""
        return self._store().prune(before)

    # Reading.

    def events(self, subject: str = "", kind: str = "", after: int = 0, limit: int = 1000, since: float = 0.0) -> list[tuple[int, Event]]:
        """Events with their numbers, oldest first."""
        return self._store().events(subject, kind, after, limit, since)

    def newest(self, kind: str, limit: int = 100) -> list[Event]:
        """The last events of a kind, newest first."""
        return self._store().newest(kind, limit)

    def search(self, query: Query) -> list[Row]:
        """Rows that match, newest first."""
        return self._store().search(query)

    def count(self, query: Query, by: Column = "state", most: int = 0) -> Mapping[str, int]:
        """How many rows match, by state, verdict or direction."""
        return self._store().count(query, by, most)

    def judged(self, since: float, until: float) -> Iterator[Event]:
        """The event of each judged mail, oldest first."""
        return self._store().judged(since, until)

    def facts(self, since: float, until: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Time and data of each judged mail, for the tally."""
        return self._store().facts(since, until)

    def look(self) -> Glance:
        """Check that the store is whole."""
        return self._store().look()

    def verify(self) -> Integrity:
        """Check the whole chain and the database itself."""
        return self._store().verify()

    def close(self) -> None:
        """Send on what waits, if that is possible now, and let go; what is left goes with the next start."""
        self._flush()
        self._stopped = True
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        if self._remote is not None:
            self._remote.close()
        self._spool.close()
