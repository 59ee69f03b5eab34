"""The interface of a journal, so that SQLite and PostgreSQL can stand behind the same code.

What it does: names what rooms above ask of the journal, and the values they get.
Not its job: any SQL.
Raises: `JournalError`, and nothing else, from every method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gatepost.journal.event import Event
from gatepost.journal.states import State

Column = Literal["state", "verdict", "direction"]
Reason = Literal["away", "locked", "corrupt", "gone", "newer", "refused", "failed"]


class JournalError(Exception):
    """The journal cannot do what was asked. With "away", "locked" and "failed" it is worth trying again.

    Nothing was written; but after "away" nobody knows, since the answer of a server that went away did not come.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; everything given must match. Addresses may be "@domain". `subject` is a part of the text.

    `since` and `until` are seconds since the epoch; `before` continues a listing after the row with that `number`.
    """

    id: str = ""
    since: float = 0.0
    until: float = 0.0
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    client: str = ""
    message_id: str = ""
    direction: str = ""
    verdict: str = ""
    finding: str = ""
    engine: str = ""
    digest: str = ""
    states: tuple[State, ...] = ()
    kept: bool = False
    before: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One mail for one recipient. `reason` names what decided ("" for clean mail), `kept` says that its bytes are in quarantine."""

    number: int
    id: str
    at: float
    sender: str
    recipient: str
    subject: str
    client: str
    message_id: str
    digest: str
    size: int
    direction: str
    verdict: str
    rule: str
    reason: str
    state: State
    kept: bool


@dataclass(frozen=True, slots=True)
class Integrity:
    """The result of `verify`: how many events there are, and the number and hash of the last."""

    events: int
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Glance:
    """The result of `look`: how many events there are, and the time of the newest (0 without any)."""

    events: int
    newest: float


@dataclass(frozen=True, slots=True)
class Link:
    """An event as it stands in a chain: its place, canonical bytes and hash."""

    sequence: int
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The place and hash of one end of a chain."""

    sequence: int
    hash: bytes


class Journal(Protocol):
    """What happened, append-only. One writer; any number of readers in any thread."""

    def append(self, events: Sequence[Event], *, sync: bool) -> None:
        """Write events in one transaction: all or none. With `sync` they are on the disk when this returns."""
        ...

    def events(self, subject: str = "", kind: str = "", after: int = 0, limit: int = 1000, since: float = 0.0) -> list[tuple[int, Event]]:
        """Events with their numbers, oldest first; with `since`, those of that time (seconds since the epoch) or later."""
        ...

    def newest(self, kind: str, limit: int = 100) -> list[Event]:
        """The last events of a kind, newest first; a kind that ends in a dot stands for all that begin so."""
        ...

    def search(self, query: Query) -> list[Row]:
        """Rows that match, newest first."""
        ...

    def count(self, query: Query, by: Column = "state", most: int = 0) -> Mapping[str, int]:
        """How many rows match, by state, verdict or direction. With `most` above 0 counting ends there, whichever rows come first."""
        ...

    def judged(self, since: float, until: float) -> Iterator[Event]:
        """The event of each judged mail, oldest first."""
        ...

    def facts(self, since: float, until: float) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Time and data of each judged mail, for the tally."""
        ...

    def verify(self) -> Integrity:
        """Check the whole chain and the database itself."""
        ...

    def prune(self, before: float) -> int:
        """Forget events before that time, but no mail that is still held; gives how many. The chain goes on."""
        ...

    def look(self) -> Glance:
        """Check that the store is whole and the one that was written here, but not every link: quick enough for each hour."""
        ...

    def trouble(self) -> str:
        """Why events that were taken wait to reach the store; "" when none do."""
        ...

    def close(self) -> None:
        """Write the anchor and let go."""
        ...


class Chained(Journal, Protocol):
    """A journal whose chain can be carried over to another as it is, link by link."""

    def nodes(self) -> Mapping[str, int]:
        """Every node that has written, with the number of its events that are still here; none where no node has a name."""
        ...

    def start(self) -> Head:
        """The link before the first event that is still here."""
        ...

    def head(self) -> Head:
        """The newest link."""
        ...

    def links(self, after: int, limit: int) -> list[Link]:
        """Links that follow number `after` of the chain, in order."""
        ...

    def begin(self, start: Head) -> None:
        """Let the chain of an empty journal follow `start`. Raises `JournalError("refused")` when there are events already."""
        ...

    def receive(self, links: Sequence[Link]) -> int:
        """Take over links that follow the head, and skip those that are here already; gives how many are new.

        They have happened: one that cannot move a mail is filed all the same. Raises `JournalError("gone")` where they do not follow.
        """
        ...
