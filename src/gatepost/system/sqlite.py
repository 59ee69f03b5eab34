"""Transactions of SQLite: everything within happens, or nothing.

Not its job: connecting, tables, locks between threads.
Raises: what the statements raise, after the rollback.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that writes, on a connection that begins none by itself (`isolation_level=None`)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
