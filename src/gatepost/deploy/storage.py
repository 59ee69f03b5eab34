"""The one place where a site's store is chosen: SQLite in the state folder, or PostgreSQL.

Not its job: the stores themselves (`gatepost.journal`).
Raises: `JournalError`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from gatepost.journal.interface import Chained, Head, Journal, JournalError
from gatepost.journal.shipped import ShippedJournal
from gatepost.journal.spool import Spool
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
    return ShippedJournal(Spool(Path(state) / SPOOL), lambda: store(storage.url, state, storage.name))


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


def waiting(site: Site, head: Head) -> int:
    """How many events of this node are in its spool and not in the store, whose chain ends with `head`."""
    if not site.storage.url or not (path := Path(site.site.state) / SPOOL).exists():
        return 0
    spool = Spool(path)
    try:
        return max(0, spool.head().sequence - head.sequence) if spool.start() else 0
    finally:
        spool.close()


def others(journal: Chained, node: str) -> list[str]:
    """The other nodes that have written to a journal."""
    return [name for name in journal.nodes() if name != node]


def settle(site: Site, url: str, source: Chained) -> None:
    """After a move to `url`: remove a spool of an earlier time in PostgreSQL, when everything in it was carried over as well."""
    path = Path(site.site.state) / SPOOL
    if not url or not path.exists():
        return
    spool = Spool(path)
    newest = spool.head() if spool.start() else source.start()
    spool.close()
    if newest.sequence > source.start().sequence and [link.hash for link in source.links(newest.sequence - 1, 1)] != [newest.hash]:
        raise JournalError("gone", f"{path} has events that are not in this journal; keep it, and move it away before you go on")
    for one in path.parent.glob(f"{SPOOL}*"):
        one.unlink()
