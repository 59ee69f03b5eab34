"""The journal in SQLite.

What it does: appends events with their hash chain, keeps the tables for searching in the same transaction, answers queries.
Without `sync` a commit survives the death of every process but not a power cut; with `sync` it survives both, and so do all commits before it.
An anchor file beside the database holds the newest link, so that a journal that was lost, emptied or put back to an old copy is
an error and never taken for a good one.
Not its job: what events mean (`project`), grouping callers (`writer`).
Raises: `JournalError`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gatepost.journal import chain, project, search
from gatepost.journal.event import Event
from gatepost.journal.interface import Column, Glance, Head, Integrity, JournalError, Link, Query, Reason, Row
from gatepost.journal.rows import REFUSALS
from gatepost.journal.schema import migrate
from gatepost.system.files import make_directory, write_atomic
from gatepost.system.sqlite import transaction

LOCK_SECONDS = 5.0
ANCHOR_EVERY = 10_000
"""Events between two anchors; the anchor costs a sync."""

_REASONS: dict[int, Reason] = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
}
_REMEDIES: dict[Reason, str] = {
    "locked": "another process holds it; nothing was written, the sender will try again",
    "corrupt": "stop Gatepost, keep the file for inspection, and restore the newest backup",
    "failed": "look at the disk: is it full, or read-only?",
}


class Anchor(msgspec.Struct, frozen=True):
    """The newest link that is known to be on the disk."""

    sequence: int
    hash: str


def _identity(path: Path) -> tuple[int, int]:
    """The file that a name means now."""
    found = path.stat()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the system into the one error of this room."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        reason = _REASONS.get(code, "corrupt" if "malformed" in str(error) else "failed")
        raise JournalError(reason, f"the journal {path}: {error}; {_REMEDIES[reason]}") from error
    except (chain.ChainError, msgspec.MsgspecError) as error:
        raise JournalError("corrupt", f"the journal {path}: {error}; {_REMEDIES['corrupt']}") from error
    except UnicodeError as error:
        raise JournalError("refused", f"the journal {path} was asked for what is not text: {error}") from error
    except OSError as error:
        raise JournalError("failed", f"the journal {path}: {error.strerror}; {_REMEDIES['failed']}") from error


class SqliteJournal:
    """A `Journal` in one file. `append` and `prune` may be called from any thread; one runs at a time.

    With `writes` false it is for looking only, beside a keeper that writes.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._readers = threading.local()
        self._since_anchor = 0
        self._synchronous = False
        with _named(path):
            self._check_there()
            if not writes:
                self._check_readable()
                return
            make_directory(path.parent)
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode = WAL")
            migrate(self._writer)
            self._file = _identity(path)
            self._check_anchor(self._writer)
            self._anchor()

    def _check_readable(self) -> None:
        if not self._path.exists():
            raise JournalError(
                "gone", f"there is no journal at {self._path} yet; start the gateway, or look at [site] state in the site file"
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -65536")
        return connection

    @property
    def _anchor_path(self) -> Path:
        return self._path.with_name(self._path.name + ".anchor")

    def _known(self) -> Anchor | None:
        try:
            return msgspec.json.decode(self._anchor_path.read_bytes(), type=Anchor)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise JournalError("corrupt", f"{self._anchor_path} is not readable: {error}; restore it from the newest backup") from error

    def _check_there(self) -> None:
        known = self._known()
        if known and (not self._path.exists() or not self._path.stat().st_size):
            raise JournalError(
                "gone",
                f"the journal {self._path} is gone; it had {known.sequence} events. Restore the newest backup, "
                f"or remove {self._anchor_path} to begin a new journal",
            )

    def _check_anchor(self, connection: sqlite3.Connection) -> None:
        known = self._known()
        if known is None or not known.sequence:
            return
        found = connection.execute("SELECT hash FROM events WHERE sequence = ?", (known.sequence,)).fetchone()
        start = connection.execute("SELECT sequence FROM chain_start").fetchone()
        if known.sequence > start[0] and (found is None or found[0].hex() != known.hash):
            raise JournalError(
                "gone",
                f"the journal {self._path} is not the one that was written here: event {known.sequence} is "
                f"{'missing' if found is None else 'another one'}. Restore the newest backup, or remove {self._anchor_path} to accept this one",
            )

    def _anchor(self) -> None:
        """Put all commits on the disk, then say which the newest is."""
        self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        sequence, link = self._last(self._writer)
        write_atomic(self._anchor_path, msgspec.json.encode(Anchor(sequence, link.hex())))
        self._since_anchor = 0

    @staticmethod
    def _last(connection: sqlite3.Connection) -> tuple[int, bytes]:
        newest = connection.execute("SELECT sequence, hash FROM events ORDER BY sequence DESC LIMIT 1").fetchone()
        found = newest or connection.execute("SELECT sequence, hash FROM chain_start").fetchone()
        return found[0], found[1]

    def _check_same(self) -> None:
        """SQLite would write on into a file that has no name any more, and everything in it would be lost at its end."""
        try:
            same = _identity(self._path) == self._file
        except FileNotFoundError:
            same = False
        if not same:
            raise JournalError("gone", f"the journal {self._path} is gone while Gatepost writes it; put it back, or restart Gatepost")

    def append(self, events: Sequence[Event], *, sync: bool) -> None:
        """Write events in one transaction: all or none. With `sync` they are on the disk when this returns."""
        if not events:
            return
        with self._lock, _named(self._path):
            self._check_same()
            self._synchronise(sync=sync)
            with transaction(self._writer):
                self._insert(events)
            self._since_anchor += len(events)
            if self._since_anchor >= ANCHOR_EVERY:
                self._anchor()

    def _synchronise(self, *, sync: bool) -> None:
        """NORMAL leaves the write-ahead log to the system's own pace; FULL syncs it at commit, with all that was written before."""
        if self._synchronous is not sync:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
            self._synchronous = sync

    def _insert(self, events: Sequence[Event]) -> None:
        sequence, previous = self._last(self._writer)
        for event in events:
            sequence += 1
            try:
                previous = self._insert_one(sequence, previous, event)
            except REFUSALS as error:
                raise JournalError("refused", f"the event {event.kind} of {event.subject} cannot be: {error}") from error

    def _insert_one(self, sequence: int, previous: bytes, event: Event) -> bytes:
        body = chain.canonical(event)
        link = chain.link(previous, body)
        row = (sequence, event.at, event.kind, event.subject, body, link)
        self._writer.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
        project.apply(self._writer, event)
        return link

    def _reader(self) -> sqlite3.Connection:
        """A connection of the calling thread's own, which cannot write."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._readers.connection = connection
        return connection

    def events(self, subject: str = "", kind: str = "", after: int = 0, limit: int = 1000, since: float = 0.0) -> list[tuple[int, Event]]:
        """Events with their numbers, oldest first; with `since`, those of that time (seconds since the epoch) or later."""
        with _named(self._path):
            rows = self._reader().execute(*search.events_sql(subject, kind, after, limit, since))
            return [(number, chain.read(body)) for number, body in rows]

    def newest(self, kind: str, limit: int = 100) -> list[Event]:
        """The last events of a kind, newest first; a kind that ends in a dot stands for all that begin so."""
        with _named(self._path):
            return [chain.read(body) for (body,) in self._reader().execute(*search.newest_sql(kind, limit))]

    def search(self, query: Query) -> list[Row]:
        """Rows that match, newest first."""
        with _named(self._path):
            return [search.row(found) for found in self._reader().execute(*search.search_sql(query))]

    def count(self, query: Query, by: Column = "state", most: int = 0) -> Mapping[str, int]:
        """How many rows match, by state, verdict or direction. With `most` above 0 counting ends there."""
        with _named(self._path):
            return dict(self._reader().execute(*search.count_sql(query, by, most)).fetchall())

    def judged(self, since: float, until: float) -> Iterator[Event]:
        """The event of each judged mail, oldest first."""
        sql = "SELECT body FROM events WHERE kind = 'mail.judged' AND at >= ? AND at < ? ORDER BY at"
        with _named(self._path):
            for (body,) in self._reader().execute(sql, (since, until)):
                yield chain.read(body)

    def facts(self, since: float, until: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Time and data of each judged mail, for the tally."""
        return ((event.at, event.data) for event in self.judged(since, until))

    def look(self) -> Glance:
        """Check the database itself and the anchor, but not every link: quick enough for each hour."""
        with _named(self._path):
            reader = self._reader()
            self._check_database(reader)
            self._check_anchor(reader)
            events, newest = reader.execute("SELECT count(*), max(at) FROM events").fetchone()
        return Glance(events, newest or 0.0)

    def _check_database(self, reader: sqlite3.Connection) -> None:
        (found,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise JournalError("corrupt", f"the journal {self._path}: {found}; {_REMEDIES['corrupt']}")

    def verify(self) -> Integrity:
        """Check the database itself, the whole chain, and that what is searched is what was written."""
        with _named(self._path):
            reader = self._reader()
            self._check_database(reader)
            start, previous = reader.execute("SELECT sequence, hash FROM chain_start").fetchone()
            rows = reader.execute("SELECT sequence, CAST(body AS BLOB), CAST(hash AS BLOB) FROM events ORDER BY sequence")
            sequence, last = chain.verify(rows, previous, start)
            self._check_columns(reader)
        return Integrity(sequence - start, sequence, last.hex())

    def _check_columns(self, reader: sqlite3.Connection) -> None:
        for sequence, at, kind, subject, body in reader.execute("SELECT sequence, at, kind, subject, body FROM events"):
            event = chain.read(body)
            if (event.at, event.kind, event.subject) != (at, kind, subject):
                raise chain.ChainError(sequence, "says something else than its index")

    def prune(self, before: float) -> int:
        """Forget events before that time, but no mail that is still held; gives how many. The chain goes on from there."""
        with self._lock, _named(self._path):
            with transaction(self._writer):
                last = project.last_to_forget(self._writer, before)
                if last is None:
                    return 0
                (link,) = self._writer.execute("SELECT hash FROM events WHERE sequence = ?", (last,)).fetchone()
                count = self._writer.execute("DELETE FROM events WHERE sequence <= ?", (last,)).rowcount
                self._writer.execute("UPDATE chain_start SET sequence = ?, hash = ?", (last, link))
                project.forget(self._writer)
            self._anchor()
        return count

    def trouble(self) -> str:
        """Nothing waits: what was taken is in the store."""
        return ""

    def nodes(self) -> Mapping[str, int]:
        """None: a file has one writer, without a name."""
        return {}

    def start(self) -> Head:
        """The link before the first event that is still here."""
        with _named(self._path):
            return Head(*self._reader().execute("SELECT sequence, hash FROM chain_start").fetchone())

    def head(self) -> Head:
        """The newest link."""
        with _named(self._path):
            return Head(*self._last(self._reader()))

    def links(self, after: int, limit: int) -> list[Link]:
        """Links that follow number `after` of the chain, in order."""
        sql = "SELECT sequence, body, hash FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
        with _named(self._path):
            return [Link(*found) for found in self._reader().execute(sql, (after, limit))]

    def begin(self, start: Head) -> None:
        """Let the chain of an empty journal follow `start`."""
        with self._lock, _named(self._path), transaction(self._writer):
            if self._last(self._writer)[0]:
                raise JournalError("refused", f"the journal {self._path} has events already")
            self._writer.execute("UPDATE chain_start SET sequence = ?, hash = ?", (start.sequence, start.hash))

    def receive(self, links: Sequence[Link]) -> int:
        """Take over links that follow the head, and skip those that are here already; gives how many are new."""
        if not links:
            return 0
        with self._lock, _named(self._path), transaction(self._writer):
            new = chain.following(links, *self._last(self._writer), self._hash_of)
            for link in new:
                event = chain.read(link.body)
                row = (link.sequence, event.at, event.kind, event.subject, link.body, link.hash)
                self._writer.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
                with contextlib.suppress(*REFUSALS):
                    project.apply(self._writer, event)
        return len(new)

    def _hash_of(self, sequence: int) -> bytes | None:
        found = self._writer.execute("SELECT hash FROM events WHERE sequence = ?", (sequence,)).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Write the anchor and let go."""
        with self._lock, _named(self._path):
            self._writer.execute("PRAGMA optimize")
            self._anchor()
            self._writer.close()
