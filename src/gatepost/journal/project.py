"""What events make of the tables for searching: one row a mail, one for each recipient, one for each finding.

What it does: applies one event to the tables, inside the transaction that appends it; forgets what has no event any more.
Not its job: the events themselves (`store`). Everything here could be computed again from them.
Raises: `StateError` for a step that cannot be, `LookupError`, `TypeError` or `ValueError` for a mail event without what it must carry.
"""

from __future__ import annotations

import sqlite3

from gatepost.journal.event import Event
from gatepost.journal.rows import HELD, JUDGED, MESSAGE_COLUMNS, UNKEPT, mail_rows
from gatepost.journal.states import STEPS, State, StateError, step

_MESSAGE = f"INSERT INTO messages ({', '.join(MESSAGE_COLUMNS)}) VALUES ({', '.join('?' * len(MESSAGE_COLUMNS))})"  # noqa: S608 - constants


def apply(connection: sqlite3.Connection, event: Event) -> None:
    """Change the tables as `event` says; kinds that do not touch a mail's state change nothing."""
    if event.kind == JUDGED:
        _judged(connection, event)
    elif event.kind in STEPS:
        _move(connection, event, STEPS[event.kind])
    elif event.kind == UNKEPT:
        connection.execute("UPDATE messages SET kept = 0 WHERE id = ?", (event.subject,))


def _judged(connection: sqlite3.Connection, event: Event) -> None:
    rows = mail_rows(event)
    if connection.execute("SELECT number FROM messages WHERE id = ?", (event.subject,)).fetchone():
        raise StateError("this mail has been judged already")
    number = connection.execute(_MESSAGE, rows.message).lastrowid
    connection.execute("INSERT INTO subjects (rowid, subject) VALUES (?, ?)", (number, event.data.get("subject", "")))
    for recipient in rows.recipients:
        connection.execute("INSERT INTO recipients VALUES (?, ?, ?, ?, ?, ?)", (number, *recipient))
    for finding in rows.findings:
        connection.execute("INSERT INTO findings VALUES (?, ?, ?, ?)", (number, *finding))


def _move(connection: sqlite3.Connection, event: Event, then: State) -> None:
    address = event.data["recipient"].lower()
    found = connection.execute(
        "SELECT message, state FROM recipients JOIN messages ON number = message WHERE id = ? AND address = ?", (event.subject, address)
    ).fetchone()
    if not found:
        raise StateError(f"no mail {event.subject} for that recipient is known")
    connection.execute(
        "UPDATE recipients SET state = ? WHERE message = ? AND address = ?", (step(State(found[1]), then), found[0], address)
    )


def last_to_forget(connection: sqlite3.Connection, before: float) -> int | None:
    """The number of the last event that may go: older than `before`, and before the first event of any mail that is still held.

    The newest event always stays, so that the chain has an end to go on from.
    """
    (last,) = connection.execute("SELECT max(sequence) FROM events WHERE at < ?", (before,)).fetchone()
    (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
    if last is None:
        return None
    (held,) = connection.execute(
        "SELECT min(events.sequence) FROM recipients JOIN messages ON number = message"
        " JOIN events ON events.subject = id WHERE state IN (?, ?) OR kept",
        HELD,
    ).fetchone()
    (later,) = connection.execute("SELECT min(sequence) FROM events WHERE at >= ?", (before,)).fetchone()
    last = min(number - 1 for number in (last + 1, newest, held, later) if number is not None)
    (first,) = connection.execute("SELECT min(sequence) FROM events").fetchone()
    return last if last >= first else None


def forget(connection: sqlite3.Connection) -> None:
    """Remove rows of mail whose events are gone."""
    gone = "SELECT number FROM messages WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.subject = messages.id)"
    for sql in (
        "DELETE FROM recipients WHERE message IN",
        "DELETE FROM findings WHERE message IN",
        "INSERT INTO subjects (subjects, rowid, subject) SELECT 'delete', number, subject FROM messages WHERE number IN",
        "DELETE FROM messages WHERE number IN",
    ):
        connection.execute(f"{sql} ({gone})")
