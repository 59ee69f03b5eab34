"""The hash chain over events: whoever changes, removes or inserts one breaks every link after it.

What it does: turns an event into canonical bytes and links them with SHA-256; checks a run of links.
Not its job: storing (`store`), or proving that the newest events were not cut off; for that the store keeps an anchor outside the database.
Raises: `ChainError`, with the number of the first event that does not fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Link

GENESIS = bytes(32)
"""What the first event is linked to."""

_ENCODER = msgspec.json.Encoder(order="sorted")


class ChainError(Exception):
    """The chain is broken at event number `sequence`."""

    def __init__(self, sequence: int, why: str) -> None:
        super().__init__(f"event {sequence} of the journal {why}")
        self.sequence = sequence


def canonical(event: Event) -> bytes:
    """The one byte form of an event: JSON with sorted keys."""
    return _ENCODER.encode([event.at, event.kind, event.subject, event.data])


def read(body: bytes) -> Event:
    """The event of its canonical bytes. Raises `msgspec.DecodeError` for anything else."""
    at, kind, subject, data = msgspec.json.decode(body, type=tuple[float, str, str, dict[str, object]])
    return Event(at, kind, subject, data)


def link(previous: bytes, body: bytes) -> bytes:
    """The hash of an event that follows the one with hash `previous`."""
    return hashlib.sha256(previous + body).digest()


def verify(rows: Iterable[tuple[int, bytes, bytes]], previous: bytes = GENESIS, sequence: int = 0) -> tuple[int, bytes]:
    """Check rows of number, body and hash that follow event `sequence` with hash `previous`; gives the last number and hash."""
    for number, body, found in rows:
        if number != sequence + 1:
            raise ChainError(sequence + 1, "is missing")
        if link(previous, body) != found:
            raise ChainError(number, "does not fit the one before it")
        sequence, previous = number, found
    return sequence, previous


def following(links: Sequence[Link], sequence: int, newest: bytes, hash_of: Callable[[int], bytes | None]) -> Sequence[Link]:
    """Those of `links`, which hang together, that come after event `sequence` with hash `newest`.

    `hash_of` gives the hash of an event that is there. Raises `JournalError("gone")` where the links do not belong to that chain.
    """
    first = links[0].sequence
    if first > sequence + 1:
        raise JournalError("gone", f"events {sequence + 1} to {first - 1} are missing: the other journal lost them, and they are not here")
    known = [link for link in links if link.sequence <= sequence]
    new = links[len(known) :]
    if known and known[-1].hash != (newest if known[-1].sequence == sequence else hash_of(known[-1].sequence)):
        raise JournalError("gone", f"event {known[-1].sequence} is another one there: the two journals do not belong together")
    if new:
        verify(((link.sequence, link.body, link.hash) for link in new), newest, sequence)
    return new
