"""The journal in PostgreSQL, which several nodes share: one chain for each node, one set of tables for searching.

What it does: appends events with their hash chain, keeps the tables for searching in the same transaction, answers queries.
A node holds the lock on its own row of `nodes` while it writes, so its chain cannot fork, and no node waits for another.
With `sync` a commit is on the disk of the server (and of its synchronous standbys) when `append` returns; without it a crash of the
server may take the last commits back, whole.
Not its job: what events mean (`postgresql_batch`), what happens while the server is away (`shipped`), the server itself.
Raises: `JournalError`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import Connection, errors

from gatepost.journal import chain, postgresql_schema, postgresql_search, search
from gatepost.journal.event import Event
from gatepost.journal.interface import Column, Glance, Head, Integrity, JournalError, Link, Query, Reason, Row
from gatepost.journal.postgresql_batch import LAG, PER_SECOND, SLOTS, Batch, Entry, concerned, first_number, known_of, next_number, since_id
from gatepost.journal.rows import REFUSALS

WEEK = 7 * 86_400.0
"""Seconds in one partition of a new journal."""

PATIENCE = 5
"""Seconds to wait for a connection, a lock, or the acknowledgement of what was sent."""

IDLE = 4
"""Connections that are kept for the next question."""

PAGE = 5000
"""Rows that are fetched together where all are read."""

_OPTIONS = (
    f"-c search_path={postgresql_schema.SCHEMA},public -c lock_timeout={PATIENCE}s -c jit=off"
    " -c enable_partitionwise_join=on -c client_encoding=UTF8"
)

_HEAD = "SELECT slot, number, sequence, hash FROM nodes WHERE name = %s FOR UPDATE"
_KNOWN = (
    "SELECT number, id, address, state FROM messages LEFT JOIN recipients ON message = number AND message >= %s"
    " WHERE id = ANY(%s) AND number >= %s"
)
_COLUMNS = {
    "events": "bigint[] text[] bigint[] float8[] text[] text[] bytea[] bytea[]",
    "messages": "bigint[] text[] float8[] text[] text[] text[] text[] text[] text[] bigint[] text[] text[] bool[]",
    "recipients": "bigint[] text[] text[] text[] text[] text[]",
    "findings": "bigint[] text[] text[] text[]",
}
_INSERT = {
    table: f"INSERT INTO {table} SELECT * FROM unnest({', '.join(f'%b::{kind}' for kind in kinds.split())})"  # noqa: S608 - constants
    for table, kinds in _COLUMNS.items()
}
_MOVE = (
    "UPDATE recipients SET state = moved.state FROM unnest(%b::bigint[], %b::text[], %b::text[]) AS moved (message, address, state)"
    " WHERE recipients.message = moved.message AND recipients.address = moved.address AND recipients.message BETWEEN %s AND %s"
)
_UNKEEP = "UPDATE messages SET kept = false WHERE number = ANY(%s) AND number BETWEEN %s AND %s"

_REMEDIES: dict[Reason, str] = {
    "away": "is it running, and does the network lead there? What it takes waits until it is back",
    "locked": "somebody holds a lock on it; nothing was written",
    "corrupt": "stop Gatepost, keep the database for inspection, and restore the newest backup",
    "refused": "PostgreSQL does not take this value",
    "failed": "look at the log of PostgreSQL",
}
_REASONS: tuple[tuple[tuple[type[psycopg.Error], ...], Reason], ...] = (
    ((errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.SerializationFailure), "locked"),
    ((errors.DataCorrupted, errors.IndexCorrupted), "corrupt"),
    ((errors.InsufficientPrivilege, errors.DiskFull, errors.UndefinedTable, errors.InvalidCatalogName), "failed"),
    ((errors.InvalidPassword, errors.InvalidAuthorizationSpecification), "failed"),
    ((psycopg.OperationalError, psycopg.InterfaceError), "away"),
    ((psycopg.DataError,), "refused"),
)


class _Row(NamedTuple):
    """What a node's row says: its slot among the nodes, its last number, and the head of its chain."""

    slot: int
    number: int
    sequence: int
    hash: bytes


def _reason(error: psycopg.Error) -> Reason:
    return next((reason for kinds, reason in _REASONS if isinstance(error, kinds)), "failed")


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Turn errors of PostgreSQL into the one error of this room."""
    try:
        yield
    except psycopg.Error as error:
        reason = _reason(error)
        said = " ".join(str(error).split())
        raise JournalError(reason, f"the journal in PostgreSQL: {said}; {_REMEDIES[reason]}") from error
    except (chain.ChainError, msgspec.MsgspecError) as error:
        raise JournalError("corrupt", f"the journal in PostgreSQL: {error}; {_REMEDIES['corrupt']}") from error
    except UnicodeError as error:
        raise JournalError("refused", f"the journal was asked for what is not text: {error}") from error


class PostgresqlJournal:
    """A `Chained` journal of one `node`. Every method may be called from any thread; one `append` runs at a time.

    With `writes` false it is for looking only. `span` (seconds) is the width of the partitions of a journal that is made new.
    """

    def __init__(self, url: str, node: str, *, writes: bool = True, span: float = WEEK) -> None:
        self._url = url
        self._node = node
        self._lock = threading.Lock()
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue(IDLE)
        self._writer: Connection | None = None
        self._spans: set[int] = set()
        with _named(), self._reader() as connection:
            if writes:
                self._prepare(connection, span)
            self._check_version(connection)
            self._span: int = connection.execute("SELECT span FROM settings").fetchone()[0]  # type: ignore[index]
            if writes:
                self._sign_in(connection)

    # Connections.

    def _connect(self) -> Connection:
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=PATIENCE,
            tcp_user_timeout=PATIENCE * 1000,
            keepalives_idle=PATIENCE,
            keepalives_interval=PATIENCE,
            options=_OPTIONS,
            application_name="gatepost",
        )

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Connection]:
        """A connection of the caller's own, for as long as it asks."""
        connection = self._kept() or self._connect()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _kept(self) -> Connection | None:
        """A connection that is left over and still leads somewhere."""
        while not self._idle.empty():
            with contextlib.suppress(queue.Empty, psycopg.Error):
                connection = self._idle.get_nowait()
                connection.execute("")
                return connection
        return None

    def _give_back(self, connection: Connection) -> None:
        try:
            if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                raise queue.Full  # noqa: TRY301 - it goes the way of one too many
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()

    # Beginning.

    @staticmethod
    def _prepare(connection: Connection, span: float) -> None:
        """Make the tables or bring them up to date, for the user whose they are; for others that was done by `gatepost storage prepare`."""
        if postgresql_schema.owned(connection):
            postgresql_schema.migrate(connection, int(span * PER_SECOND))

    @staticmethod
    def _check_version(connection: Connection) -> None:
        found, wanted = postgresql_schema.version(connection), len(postgresql_schema.MIGRATIONS)
        if found > wanted:
            raise JournalError("newer", f"the journal was made by a newer Gatepost (version {found} of its tables); install that")
        if found < wanted:
            raise JournalError(
                "gone" if not found else "failed",
                f"the journal in PostgreSQL has version {found} of its tables, and {wanted} is needed; run gatepost storage prepare as their owner",
            )

    def _sign_in(self, connection: Connection) -> None:
        """Take a slot among the nodes, if this one has none yet."""
        if connection.execute("SELECT 1 FROM nodes WHERE name = %s", [self._node]).fetchone():
            return
        taken = {slot for (slot,) in connection.execute("SELECT slot FROM nodes")}
        free = next((slot for slot in range(SLOTS) if slot not in taken), None)
        if free is None:
            raise JournalError("refused", f"{SLOTS} nodes write to this journal already, and there is no place for {self._node}")
        connection.execute("INSERT INTO nodes (name, slot) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING", [self._node, free])

    # Writing.

    def append(self, events: Sequence[Event], *, sync: bool) -> None:
        """Write events in one transaction: all or none. With `sync` they are on the server's disk when this returns."""
        if not events:
            return
        with self._transaction(sync=sync) as connection:
            row, batch = self._locked(connection, events, lenient=False)
            last = Head(row.sequence, row.hash)
            number = row.number
            for event in events:
                entry = _entry(last, event)
                number = next_number(number, event.at, time.time(), row.slot)
                try:
                    batch.add(number, self._node, entry)
                except REFUSALS as error:
                    raise JournalError("refused", f"the event {event.kind} of {event.subject} cannot be: {error}") from error
                last = Head(entry.sequence, entry.hash)
            self._write(connection, batch, number, last)

    def receive(self, links: Sequence[Link]) -> int:
        """Take over links that follow the head, and skip those that are here already; gives how many are new."""
        if not links:
            return 0
        with self._transaction(sync=True) as connection:
            events = [chain.read(link.body) for link in links]
            row, batch = self._locked(connection, events, lenient=True)
            new = chain.following(links, row.sequence, row.hash, lambda sequence: self._hash_of(connection, sequence))
            number = row.number
            for link, event in zip(new, events[len(events) - len(new) :], strict=True):
                number = next_number(number, event.at, time.time(), row.slot)
                batch.add(number, self._node, Entry(link.sequence, event, link.body, link.hash))
            if new:
                self._write(connection, batch, number, Head(new[-1].sequence, new[-1].hash))
        return len(new)

    def _hash_of(self, connection: Connection, sequence: int) -> bytes | None:
        sql = "SELECT hash FROM events WHERE node = %s AND sequence = %s"
        found = connection.execute(sql, [self._node, sequence]).fetchone()
        return found[0] if found else None

    @contextlib.contextmanager
    def _transaction(self, *, sync: bool) -> Iterator[Connection]:
        """One transaction at a time, its statements sent without waiting for the answer of each."""
        with self._lock, _named():
            if self._writer is None or self._writer.closed:
                self._writer = self._connect()
            try:
                with self._writer.pipeline(), self._writer.transaction():
                    self._writer.execute(f"SET LOCAL synchronous_commit = {'on' if sync else 'off'}".encode())
                    yield self._writer
            except BaseException:
                # Partitions that were made in it are gone with it.
                self._spans.clear()
                raise

    def _locked(self, connection: Connection, events: Sequence[Event], *, lenient: bool) -> tuple[_Row, Batch]:
        """The row of this node, locked, and an empty batch that knows the mails which the events concern."""
        asked = connection.execute(_HEAD, [self._node])
        ids = concerned(events)
        since = min(map(since_id, ids), default=0)
        found = connection.execute(_KNOWN, [since, ids, since]) if ids else None
        row = asked.fetchone()
        if row is None:
            raise JournalError("gone", f"PostgreSQL does not know the node {self._node} any more; restart Gatepost there")
        return _Row(*row), Batch(known_of(found.fetchall() if found else ()), lenient=lenient)

    def _write(self, connection: Connection, batch: Batch, number: int, head: Head) -> None:
        self._open_spans(connection, [row[0] for row in batch.events])
        for table, rows in (
            ("events", batch.events),
            ("messages", list(batch.messages.values())),
            ("recipients", list(batch.recipients.values())),
            ("findings", batch.findings),
        ):
            if rows:
                connection.execute(_INSERT[table].encode(), [list(column) for column in zip(*rows, strict=True)])
        if batch.moved:
            keys = list(batch.moved)
            numbers = [key[0] for key in keys]
            states = [state.value for state in batch.moved.values()]
            connection.execute(_MOVE, [numbers, [key[1] for key in keys], states, min(numbers), max(numbers)])
        if batch.unkept:
            connection.execute(_UNKEEP, [batch.unkept, min(batch.unkept), max(batch.unkept)])
        connection.execute("UPDATE nodes SET number = %s, sequence = %s, hash = %s WHERE name = %s", [number, *_plain(head), self._node])

    def _open_spans(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Have a partition for every number."""
        for start in {number - number % self._span for number in numbers} - self._spans:
            connection.execute("SELECT open_span(%s)", [start])
            self._spans.add(start)

    def begin(self, start: Head) -> None:
        """Let the chain of a node that has written nothing follow `start`."""
        with self._transaction(sync=True) as connection:
            row, _ = self._locked(connection, (), lenient=False)
            if row.sequence:
                raise JournalError("refused", f"the node {self._node} has {row.sequence} events in PostgreSQL already")
            connection.execute(
                "UPDATE nodes SET sequence = %s, hash = %s, start_sequence = %s, start_hash = %s WHERE name = %s",
                [*_plain(start), *_plain(start), self._node],
            )

    def prune(self, before: float) -> int:
        """Forget whole partitions of events before that time, but none with mail that is still held; gives how many events."""
        with self._transaction(sync=True) as connection:
            (count,) = connection.execute("SELECT forget(%s)", [first_number(before)]).fetchone()  # type: ignore[misc]
            self._spans.clear()
        return int(count)

    # Reading.

    def _all(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with _named(), self._reader() as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def _pages(self, sql: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Rows of what is too much to be held at once."""
        with _named(), self._reader() as connection, connection.transaction(), connection.cursor("pages") as cursor:
            cursor.itersize = PAGE
            yield from cursor.execute(sql.encode(), values)

    def events(self, subject: str = "", kind: str = "", after: int = 0, limit: int = 1000, since: float = 0.0) -> list[tuple[int, Event]]:
        """Events with their numbers, oldest first; with `since`, those of that time (seconds since the epoch) or later."""
        found = self._all(*postgresql_search.events_sql(subject, kind, after, limit, since))
        with _named():
            return [(number, chain.read(body)) for number, body in found]

    def newest(self, kind: str, limit: int = 100) -> list[Event]:
        """The last events of a kind, newest first; a kind that ends in a dot stands for all that begin so."""
        found = self._all(*postgresql_search.newest_sql(kind, limit))
        with _named():
            return [chain.read(body) for (body,) in found]

    def search(self, query: Query) -> list[Row]:
        """Rows that match, newest first."""
        return [search.row(found) for found in self._all(*postgresql_search.search_sql(query))]

    def count(self, query: Query, by: Column = "state", most: int = 0) -> Mapping[str, int]:
        """How many rows match, by state, verdict or direction. With `most` above 0 counting ends there."""
        return dict(self._all(*postgresql_search.count_sql(query, by, most)))

    def judged(self, since: float, until: float) -> Iterator[Event]:
        """The event of each judged mail, oldest first."""
        sql = "SELECT body FROM events WHERE kind = 'mail.judged' AND at >= %s AND at < %s AND number >= %s AND number < %s ORDER BY number"
        end = first_number(until + LAG) if until < float("inf") else (1 << 63) - 1
        for (body,) in self._pages(sql, [since, until, first_number(since), end]):
            with _named():
                yield chain.read(body)

    def facts(self, since: float, until: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Time and data of each judged mail, for the tally."""
        return ((event.at, event.data) for event in self.judged(since, until))

    def look(self) -> Glance:
        """Check that each chain ends where its node says, but not every link: quick enough for each hour."""
        for name, sequence, last in self._all("SELECT name, sequence, hash FROM nodes WHERE sequence > start_sequence", ()):
            found = self._all("SELECT hash FROM events WHERE node = %s AND sequence = %s", (name, sequence))
            if [link for (link,) in found] != [last]:
                raise JournalError("gone", f"the newest event ({sequence}) of the node {name} is not in PostgreSQL; {_REMEDIES['corrupt']}")
        ((events,),) = self._all("SELECT coalesce(sum(sequence - start_sequence), 0)::bigint FROM nodes", ())
        newest = self._all("SELECT at FROM events ORDER BY number DESC LIMIT 1", ())
        return Glance(events, newest[0][0] if newest else 0.0)

    def verify(self) -> Integrity:
        """Check the chain of every node, and that what is searched is what was written. The hash is that of our own node."""
        own, events = Head(0, chain.GENESIS), 0
        for name, start, before, sequence, head in self._all("SELECT name, start_sequence, start_hash, sequence, hash FROM nodes", ()):
            with _named():
                last = chain.verify(self._checked(name), before, start)
                if last != (sequence, head):
                    raise chain.ChainError(last[0] + 1, f"of the node {name} is missing: it wrote {sequence}")
            events += sequence - start
            own = Head(*last) if name == self._node else own
        return Integrity(events, own.sequence, own.hash.hex())

    def _checked(self, node: str) -> Iterator[tuple[int, bytes, bytes]]:
        sql = "SELECT sequence, at, kind, subject, body, hash FROM events WHERE node = %s ORDER BY number"
        for sequence, at, kind, subject, body, link in self._pages(sql, [node]):
            event = chain.read(body)
            if (event.at, event.kind, event.subject) != (at, kind, subject):
                raise chain.ChainError(sequence, "says something else than its index")
            yield sequence, body, link

    def trouble(self) -> str:
        """Nothing waits: what was taken is in the store."""
        return ""

    def start(self) -> Head:
        """The link before the first event of this node that is still here."""
        return Head(*self._all("SELECT start_sequence, start_hash FROM nodes WHERE name = %s", [self._node])[0])

    def head(self) -> Head:
        """The newest link of this node."""
        return Head(*self._all("SELECT sequence, hash FROM nodes WHERE name = %s", [self._node])[0])

    def links(self, after: int, limit: int) -> list[Link]:
        """Links of this node that follow number `after` of its chain, in order."""
        sql = "SELECT sequence, body, hash FROM events WHERE node = %s AND sequence > %s ORDER BY sequence LIMIT %s"
        return [Link(*found) for found in self._all(sql, [self._node, after, limit])]

    def nodes(self) -> dict[str, int]:
        """Every node that has written, with the number of events that are still here."""
        return dict(self._all("SELECT name, sequence - start_sequence FROM nodes WHERE sequence > 0 ORDER BY name", ()))

    def close(self) -> None:
        """Let go."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
        while not self._idle.empty():
            with contextlib.suppress(queue.Empty):
                self._idle.get_nowait().close()


def _plain(head: Head) -> tuple[int, bytes]:
    return head.sequence, head.hash


def _entry(last: Head, event: Event) -> Entry:
    try:
        body = chain.canonical(event)
    except (TypeError, ValueError) as error:
        raise JournalError("refused", f"the event {event.kind} of {event.subject} cannot be: {error}") from error
    return Entry(last.sequence + 1, event, body, chain.link(last.hash, body))


def prepare(url: str) -> None:
    """Make the tables or bring them up to date, and give the roles for nodes and readers their rights; as the owner. Raises JournalError."""
    with _named(), psycopg.connect(url, autocommit=True, connect_timeout=PATIENCE, options=_OPTIONS) as connection:
        postgresql_schema.migrate(connection, int(WEEK * PER_SECOND))
        postgresql_schema.grant(connection)
