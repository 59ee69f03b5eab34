"""The stores behind the journal's interface, so that one suite can be run over each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatepost.journal.interface import Chained
from gatepost.journal.store import SqliteJournal

NODE = "mx1"


def opened(where: str, span: float = 86_400.0, node: str = NODE) -> Chained:
    """A journal by the path of a file or the URL of a database; `span` is the width of a new database's partitions."""
    if not where.startswith("postgresql:"):
        return SqliteJournal(Path(where))
    from gatepost.journal.postgresql import PostgresqlJournal

    return PostgresqlJournal(where, node, span=span)


@dataclass(frozen=True)
class Store:
    """One place for a journal, empty at first. `run` runs SQL there behind the journal's back."""

    where: str
    run: Callable[[str], object]

    def open(self, span: float = 86_400.0) -> Chained:
        """The journal of this place."""
        return opened(self.where, span)
