"""The tables of the SQLite journal, as numbered migrations.

What it does: brings a database from any earlier version to this one; each migration is one transaction with its version number,
so that a process killed at any moment leaves the old tables or the new ones, never half.
Raises: `sqlite3.Error`; `store` names it. A database of a newer Gatepost is `JournalError("newer")`.
"""

from __future__ import annotations

import sqlite3

from gatepost.journal.interface import JournalError
from gatepost.system.sqlite import transaction

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE events (
            sequence INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
            body BLOB NOT NULL, hash BLOB NOT NULL)""",
        "CREATE INDEX events_subject ON events (subject, sequence)",
        "CREATE INDEX events_kind ON events (kind, at)",
        "CREATE TABLE chain_start (sequence INTEGER NOT NULL, hash BLOB NOT NULL)",
        "INSERT INTO chain_start VALUES (0, zeroblob(32))",
        """CREATE TABLE messages (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at REAL NOT NULL, sender TEXT NOT NULL,
            sender_domain TEXT NOT NULL, subject TEXT NOT NULL, client TEXT NOT NULL, message_id TEXT NOT NULL,
            digest TEXT NOT NULL, size INTEGER NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, kept INTEGER NOT NULL)""",
        "CREATE INDEX messages_at ON messages (at)",
        "CREATE INDEX messages_sender ON messages (sender, number)",
        "CREATE INDEX messages_sender_domain ON messages (sender_domain, number)",
        "CREATE INDEX messages_client ON messages (client, number)",
        "CREATE INDEX messages_message_id ON messages (message_id) WHERE message_id <> ''",
        "CREATE INDEX messages_verdict ON messages (verdict, number)",
        "CREATE INDEX messages_digest ON messages (digest) WHERE kept",
        "CREATE INDEX messages_kept ON messages (number) WHERE kept",
        "CREATE VIRTUAL TABLE subjects USING fts5 (subject, content = 'messages', content_rowid = 'number', tokenize = 'trigram', detail = 'none')",
        """CREATE TABLE recipients (
            message INTEGER NOT NULL REFERENCES messages (number), address TEXT NOT NULL, domain TEXT NOT NULL,
            direction TEXT NOT NULL, state TEXT NOT NULL, rule TEXT NOT NULL,
            PRIMARY KEY (message, address)) WITHOUT ROWID""",
        "CREATE INDEX recipients_address ON recipients (address, message)",
        "CREATE INDEX recipients_domain ON recipients (domain, message)",
        "CREATE INDEX recipients_state ON recipients (state, message)",
        """CREATE TABLE findings (
            message INTEGER NOT NULL REFERENCES messages (number), kind TEXT NOT NULL, name TEXT NOT NULL,
            source TEXT NOT NULL)""",
        "CREATE INDEX findings_message ON findings (message)",
        "CREATE INDEX findings_name ON findings (name, message)",
        "CREATE INDEX findings_source ON findings (source, message)",
    ),
    (
        "CREATE INDEX recipients_direction ON recipients (direction, message)",
        "DROP INDEX messages_digest",
        "CREATE INDEX messages_digest ON messages (digest)",
    ),
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date; `connection` is in autocommit mode."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise JournalError(
            "newer", f"the journal was made by a newer Gatepost (version {version} of its tables); install that, or restore a backup"
        )
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
