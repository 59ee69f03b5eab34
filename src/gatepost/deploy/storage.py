"""The one place where a site's store is chosen: SQLite in the state folder, or PostgreSQL.

Not its job: the stores themselves (`gatepost.journal`).
Raises: `JournalError`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from gatepost.journal.interface import Chained, Journal, JournalError
from gatepost.journal.store import SqliteJournal
from gatepost.site.model import Site

SPOOL = "spool.sqlite"
"""The file of what a node has not sent on to PostgreSQL yet, in the state folder."""


def sqlite_path(state: str) -> Path:
    """Where the journal is that needs no server."""
    return Path(state) / "journal.sqlite"


def journal(site: Site, *, writes: bool = False) -> Journal:
    """The journal of a site; for looking only, unless `writes`, which is for its keeper alone."""
    state, storage = site.site.state, site.storage
    if not storage.url:
        return SqliteJournal(sqlite_path(state), writes=writes)
    if not writes:
        return store(storage.url, state, storage.name, writes=False)
    spool, shipped = import_module("gatepost.journal.spool"), import_module("gatepost.journal.shipped")
    made: Journal = shipped.ShippedJournal(spool.Spool(Path(state) / SPOOL), lambda: store(storage.url, state, storage.name))
    return made


def store(url: str, state: str, node: str, *, writes: bool = True) -> Chained:
    """The store behind a URL, "" for SQLite in the `state` folder; without the spool that a keeper has before PostgreSQL."""
    if not url:
        return SqliteJournal(sqlite_path(state), writes=writes)
    made: Chained = _postgresql().PostgresqlJournal(url, node, writes=writes)
    return made


def prepare(url: str) -> None:
    """Make the tables of a PostgreSQL database and its roles, as their owner."""
    _postgresql().prepare(url)


def _postgresql() -> ModuleType:
    try:
        return import_module("gatepost.journal.postgresql")
    except ImportError as error:
        raise JournalError("failed", f"the journal in PostgreSQL needs one more package ({error}); install gatepost[postgresql]") from None
