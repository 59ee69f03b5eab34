"""The newest part of a node's own chain in a file beside it, so that the node can go on while PostgreSQL is away.

What it does: appends events with their links, keeps those that PostgreSQL has not confirmed, and those that it confirmed of late: a server
that lost its last seconds gets them again.
Without `sync` a commit survives the death of every process but not a power cut; with `sync` it survives both.
Not its job: searching, sending on (`shipped`).
Raises: `JournalError`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from gatepost.journal import chain
from gatepost.journal.event import Event
from gatepost.journal.interface import Head, JournalError, Link
from gatepost.journal.rows import JUDGED, REFUSALS, mail_rows
from gatepost.journal.states import STEPS, StateError
from gatepost.system.files import make_directory
from gatepost.system.sqlite import transaction

KEPT = 50_000
"""Confirmed events that stay: minutes at the pace of one node, hours at most sites."""

_TABLES = """
CREATE TABLE IF NOT EXISTS start (sequence INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS links (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL, judged TEXT UNIQUE);
"""


class Spool:
    """A chain without an index of mails. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        make_directory(path.parent)
        with self._named():
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.executescript(_TABLES)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError("failed", f"the spool {self._path}: {error}; look at the disk: is it full, or read-only?") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._named(), transaction(self._file):
            yield

    def start(self) -> Head | None:
        """The link before the first that is here; None for a spool that was never used."""
        with self._lock, self._named():
            found = self._file.execute("SELECT sequence, hash FROM start").fetchone()
        return Head(*found) if found else None

    def begin(self, start: Head) -> None:
        """Let the chain follow `start`."""
        with self._transaction():
            self._file.execute("INSERT INTO start VALUES (?, ?)", (start.sequence, start.hash))

    def _head(self) -> Head:
        newest = self._file.execute("SELECT sequence, hash FROM links ORDER BY sequence DESC LIMIT 1").fetchone()
        return Head(*(newest or self._file.execute("SELECT sequence, hash FROM start").fetchone()))

    def head(self) -> Head:
        """The newest link."""
        with self._lock, self._named():
            return self._head()

    def hash_of(self, sequence: int) -> bytes | None:
        """The hash of a link, or of the one before the first; None when it is not here."""
        with self._lock, self._named():
            sql = "SELECT hash FROM links WHERE sequence = ?1 UNION ALL SELECT hash FROM start WHERE sequence = ?1"
            found = self._file.execute(sql, (sequence,)).fetchone()
        return found[0] if found else None

    def append(self, events: Sequence[Event], *, sync: bool) -> None:
        """Write events in one transaction: all or none. With `sync` they are on the disk when this returns."""
        with self._lock, self._named():
            self._file.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        with self._transaction():
            last = self._head()
            for event in events:
                try:
                    _check(event)
                    body = chain.canonical(event)
                    last = Head(last.sequence + 1, chain.link(last.hash, body))
                    judged = event.subject if event.kind == JUDGED else None
                    self._file.execute("INSERT INTO links VALUES (?, ?, ?, ?)", (last.sequence, body, last.hash, judged))
                except (*REFUSALS, sqlite3.IntegrityError) as error:
                    raise JournalError("refused", f"the event {event.kind} of {event.subject} cannot be: {error}") from error

    def links(self, after: int, limit: int) -> list[Link]:
        """Links that follow number `after` of the chain, in order."""
        sql = "SELECT sequence, body, hash FROM links WHERE sequence > ? ORDER BY sequence LIMIT ?"
        with self._lock, self._named():
            return [Link(*found) for found in self._file.execute(sql, (after, limit))]

    def forget(self, confirmed: int, kept: int = KEPT) -> None:
        """Let go of links up to number `confirmed`, but not of the last `kept` of them."""
        last = confirmed - kept
        with self._transaction():
            found = self._file.execute("SELECT hash FROM links WHERE sequence = ?", (last,)).fetchone()
            if found:
                self._file.execute("UPDATE start SET sequence = ?, hash = ?", (last, found[0]))
                self._file.execute("DELETE FROM links WHERE sequence <= ?", (last,))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, self._named():
            self._file.close()


def _check(event: Event) -> None:
    """Refuse what could not be filed later. Raises REFUSALS."""
    if event.kind == JUDGED:
        mail_rows(event)
    elif event.kind in STEPS and not isinstance(event.data["recipient"], str):
        raise StateError("its recipient is no text")
