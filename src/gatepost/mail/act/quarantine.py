"""The quarantine: stopped mail, one row for each recipient, until somebody releases or deletes it or its time is over.

What it does: keeps contents, lists them with their reasons, releases byte for byte to one recipient, deletes and expires.
The journal is its only index; who may do what is asked before.
Not its job: transport; a release is handed to `send`.
Raises: `QuarantineError` for what cannot be done, `JournalError`, `ContentError`, `OSError`, and whatever `send` raises: after any of
them the mail is still held.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, Query, Row
from gatepost.journal.states import State
from gatepost.mail.act.contents import Contents
from gatepost.mail.act.record import envelope_of
from gatepost.mail.model import Buffer, Envelope

Send = Callable[[Envelope, bytes], object]
"""Takes over a mail for delivery: when it returns, the next hop has answered 250."""

RELEASABLE = frozenset({State.QUARANTINED, State.REJECTED, State.CLEANED})
DELETABLE = RELEASABLE | {State.RELEASED}
ORPHAN_SECONDS = 86_400.0
"""How old a content must be that no journal knows before it is taken for what a crash left over."""
PAGE = 1000


class QuarantineError(Exception):
    """What was asked cannot be done; nothing was changed."""


FALSE_ALARM = "feedback.false-alarm"
"""The kind of event that says that a finding was wrong; it moves no mail."""


def false_alarm(row: Row, by: str) -> dict[str, object]:
    """The data of a FALSE_ALARM about the mail of a row: who says so, and which finding by which rule."""
    return {"recipient": row.recipient, "by": by, "finding": row.verdict, "name": row.reason, "rule": row.rule, "digest": row.digest}


@dataclass(frozen=True, slots=True)
class Held:
    """One kept mail: a row for each recipient, who sent it to whom, and its story so far."""

    rows: tuple[Row, ...]
    envelope: Envelope
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a release will hand on, and what becomes of the mail: its envelope, digest and size; for whom it stays held after it."""

    envelope: Envelope
    digest: str
    size: int
    others: tuple[str, ...]


class Quarantine:
    """Kept mail. `now` gives seconds since the epoch.

    Hold `lock` from `keep` until the event that names the content is in the journal, where others may delete or expire meanwhile:
    the same content may just be going.
    """

    def __init__(self, contents: Contents, journal: Journal, now: Callable[[], float]) -> None:
        self._contents = contents
        self._journal = journal
        self._now = now
        self.lock = threading.Lock()

    def keep(self, data: Buffer) -> str:
        """Put the bytes of a mail on the disk and give their digest; the journal event that names it comes next, then the answer."""
        return self._contents.put(data)

    def rows(self, query: Query | None = None) -> list[Row]:
        """Rows whose bytes are kept, newest first."""
        return self._journal.search(replace(query or Query(), kept=True))

    def show(self, identifier: str) -> Held:
        """Everything about one kept mail but its bytes."""
        rows = self.rows(Query(id=identifier))
        events = tuple(event for _, event in self._journal.events(subject=identifier.upper()))
        if not rows or not events:
            raise QuarantineError(f"no kept mail has the id {identifier}")
        return Held(tuple(rows), envelope_of(events[0]), events)

    def content(self, identifier: str) -> bytes:
        """The bytes of a kept mail as they came in."""
        return self._contents.get(self.show(identifier).rows[0].digest)

    def release(self, identifier: str, recipient: str, by: str, send: Send, prefix: Callable[[Held, Row], bytes] | None = None) -> None:
        """Deliver a kept mail, byte for byte, to one of its recipients and to nobody else; `by` says who decided.

        `prefix` gives header fields that stand before the mail on its way to us once more (the release token), or nothing.
        """
        held, row = self._row(identifier, recipient, RELEASABLE)
        data = self._contents.get(row.digest)
        # The intention is on the disk before the mail leaves: after a crash in between somebody can see that it may be gone.
        self._tell("mail.releasing", row, by)
        send(_only(held.envelope, row.recipient), (prefix(held, row) if prefix else b"") + data)
        self._tell("mail.released", row, by)

    def forecast(self, identifier: str, recipient: str) -> Forecast:
        """What `release` would do, by the same steps, short of doing it; what `release` would refuse is refused here."""
        held, row = self._row(identifier, recipient, RELEASABLE)
        data = self._contents.get(row.digest)
        others = tuple(one.recipient for one in held.rows if one is not row and one.state is State.QUARANTINED)
        return Forecast(_only(held.envelope, row.recipient), hashlib.sha256(data).hexdigest(), len(data), others)

    def delete(self, identifier: str, recipient: str, by: str) -> None:
        """Delete a kept mail for one recipient; its bytes go when it is held for nobody else."""
        _, row = self._row(identifier, recipient, DELETABLE)
        if row.state is State.QUARANTINED:
            self._tell("mail.deleted", row, by)
        if not self.rows(Query(id=row.id, states=(State.QUARANTINED,))):
            self._forget(row)

    def expire(self, keep: float, size: int) -> int:
        """Delete what is older than `keep` seconds, then the oldest until the rest takes at most `size` bytes; gives how many mails went."""
        removed = 0
        sizes = {digest: stored for digest, stored, _ in self._contents.entries()}
        total = sum(sizes.values())
        for row in self._oldest_first():
            if row.at >= self._now() - keep and total <= size:
                break
            total -= self._expire(row, sizes)
            removed += 1
        return removed

    def _oldest_first(self) -> list[Row]:
        """One row for each kept mail."""
        rows: dict[int, Row] = {}
        before = 0
        while page := self.rows(Query(before=before, limit=PAGE)):
            rows |= {row.number: row for row in page}
            # A page may end between two recipients of one mail; the rest of them is not needed here.
            before = page[-1].number
        return sorted(rows.values(), key=lambda row: row.number)

    def _expire(self, row: Row, sizes: dict[str, int]) -> int:
        """Delete one mail for all; gives the bytes won."""
        events = [
            Event(self._now(), "mail.deleted", one.id, {"recipient": one.recipient, "by": "expiry"})
            for one in self.rows(Query(id=row.id, states=(State.QUARANTINED,), limit=PAGE * PAGE))
        ]
        self._journal.append(events, sync=True)
        return sizes.pop(row.digest, 0) if self._forget(row) else 0

    def _forget(self, row: Row) -> bool:
        """Say that a mail's bytes are no longer kept, and remove them unless another mail has the same; whether they are removed."""
        self._journal.append([Event(self._now(), "mail.unkept", row.id, {"digest": row.digest})], sync=True)
        with self.lock:
            is_shared = bool(self.rows(Query(digest=row.digest, limit=1)))
            if not is_shared:
                self._contents.remove(row.digest)
        return not is_shared

    def sweep(self) -> int:
        """Remove contents that no mail of the journal has, a day old or more: a crash came between file and event, before any answer."""
        removed = 0
        for digest, _, written in self._contents.entries():
            if written < self._now() - ORPHAN_SECONDS:
                with self.lock:
                    if not self.rows(Query(digest=digest, limit=1)):
                        self._contents.remove(digest)
                        removed += 1
        return removed

    def _row(self, identifier: str, recipient: str, states: frozenset[State]) -> tuple[Held, Row]:
        held = self.show(identifier)
        row = next((row for row in held.rows if row.recipient == recipient.lower()), None)
        if row is None:
            raise QuarantineError(f"mail {identifier} was not for {recipient}")
        if row.state not in states:
            raise QuarantineError(f"mail {identifier} for {recipient} is {row.state} already")
        return held, row

    def _tell(self, kind: str, row: Row, by: str) -> None:
        self._journal.append([Event(self._now(), kind, row.id, {"recipient": row.recipient, "by": by})], sync=True)


def _only(envelope: Envelope, recipient: str) -> Envelope:
    """The envelope for one recipient: the spelling it came with, and its parameters."""
    number = [address.lower() for address in envelope.recipients].index(recipient)
    parameters = envelope.recipient_parameters[number : number + 1]
    return replace(envelope, recipients=(envelope.recipients[number],), recipient_parameters=parameters)
