"""The console's own file: accounts, sessions, one-time links, failed logins, and what people did.

What it does: opens the SQLite file, brings its tables up to date, and runs one statement at a time.
Not its job: mail; the journal is another file, which the console only reads.
Raises: `sqlite3.Error`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatepost.system.files import PRIVATE_FILE, make_directory
from gatepost.system.sqlite import transaction

MIGRATIONS = (
    """
    CREATE TABLE users (
        name TEXT PRIMARY KEY, role TEXT NOT NULL, address TEXT NOT NULL, hash TEXT NOT NULL, totp TEXT NOT NULL,
        totp_step INTEGER NOT NULL, created REAL NOT NULL);
    CREATE TABLE sessions (
        digest TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE, created REAL NOT NULL, seen REAL NOT NULL,
        client TEXT NOT NULL);
    CREATE TABLE links (
        digest TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, recipient TEXT NOT NULL, expires REAL NOT NULL,
        used REAL NOT NULL);
    CREATE TABLE failures (at REAL NOT NULL, name TEXT NOT NULL, client TEXT NOT NULL);
    CREATE INDEX failures_at ON failures (at);
    CREATE TABLE deeds (at REAL NOT NULL, who TEXT NOT NULL, client TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL);
    CREATE INDEX deeds_at ON deeds (at);
    """,
    """
    CREATE TABLE passkeys (
        id TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE, label TEXT NOT NULL, public BLOB NOT NULL,
        count INTEGER NOT NULL, created REAL NOT NULL);
    CREATE INDEX passkeys_user ON passkeys (user);
    CREATE TABLE digests (class TEXT PRIMARY KEY, at REAL NOT NULL);
    """,
)


class Database:
    """One connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        make_directory(path.parent)
        path.touch(PRIVATE_FILE)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._migrate()

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            self._connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def run(self, sql: str, *values: Any) -> int:
        """Run one statement; gives how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of one question."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within happens, or nothing."""
        with self._lock, transaction(self._connection):
            yield

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()
