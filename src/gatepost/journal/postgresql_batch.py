"""What a run of events changes in PostgreSQL's tables, worked out before anything is written, so that each table is written once; pure.

What it does: gives each event its number, applies the events to the states that were read, and collects new rows and changed states.
Not its job: reading and writing (`postgresql`), what an event means (`rows`, `states`).
Raises: `StateError`, `LookupError`, `TypeError`, `ValueError` or `AttributeError` for an event that cannot be; with `lenient` nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatepost.journal.event import ALPHABET, RANDOM_DIGITS, TIME_DIGITS, Event
from gatepost.journal.rows import JUDGED, REFUSALS, UNKEPT, mail_rows
from gatepost.journal.states import STEPS, State, StateError, step

SLOTS = 64
"""Nodes that may write."""

PER_SECOND = 1000 * 4096
"""Numbers to a second: each millisecond has 64 for each node. They stay below 2^53, which every reader of JSON can count to."""

AHEAD = 86_400.0
"""Seconds by which the number of an event may run ahead of our clock; a time beyond that is wrong, and must not stop retention for ever."""

LAG = 2 * 86_400.0
"""Seconds by which a mail's number may be later than its time: the clock was put back, never further than AHEAD."""

_MOVING = {JUDGED, UNKEPT, *STEPS}


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place in the chain of its node."""

    sequence: int
    event: Event
    body: bytes
    hash: bytes


@dataclass(slots=True)
class Known:
    """The mails that a batch concerns: the number of each id, and the state for each id and address."""

    numbers: dict[str, int] = field(default_factory=dict)
    states: dict[tuple[str, str], State] = field(default_factory=dict)


def first_number(at: float) -> int:
    """The first number of a time (seconds since the epoch)."""
    return max(0, int(at * 1000) * (PER_SECOND // 1000))


def next_number(last: int, at: float, now: float, slot: int) -> int:
    """The number of an event of time `at` that a node writes after `last`; all in seconds since the epoch."""
    return max(last + SLOTS, first_number(min(at, now + AHEAD)) + slot)


def since_id(identifier: str) -> int:
    """A number before that of the mail with this id, which begins with its time; 0 for an id of another form."""
    if len(identifier) != TIME_DIGITS + RANDOM_DIGITS or not set(identifier) <= set(ALPHABET):
        return 0
    milliseconds = 0
    for digit in identifier[:TIME_DIGITS]:
        milliseconds = milliseconds * 32 + ALPHABET.index(digit)
    return first_number(milliseconds / 1000 - AHEAD)


def concerned(events: Iterable[Event]) -> list[str]:
    """The ids of the mails that events judge or move."""
    return sorted({event.subject for event in events if event.kind in _MOVING})


def text(value: str) -> str:
    """Text as PostgreSQL takes it: it has no NUL. The event itself keeps it."""
    return value.replace("\0", "\ufffd")


class Batch:
    """Rows to insert, and what else changes."""

    def __init__(self, known: Known, *, lenient: bool) -> None:
        self._known = known
        self._lenient = lenient
        self.events: list[tuple[Any, ...]] = []
        self.messages: dict[int, list[Any]] = {}
        self.recipients: dict[tuple[int, str], list[Any]] = {}
        self.findings: list[tuple[Any, ...]] = []
        self.moved: dict[tuple[int, str], State] = {}
        self.unkept: list[int] = []

    def add(self, number: int, node: str, entry: Entry) -> None:
        """Take one more event. A lenient batch files an event that cannot be without moving any mail by it: it has happened all the same."""
        event = entry.event
        self.events.append((number, node, entry.sequence, event.at, text(event.kind), text(event.subject), entry.body, entry.hash))
        try:
            self._apply(number, event)
        except REFUSALS:
            if not self._lenient:
                raise

    def _apply(self, number: int, event: Event) -> None:
        if event.kind == JUDGED:
            self._judge(number, event)
        elif event.kind in STEPS:
            self._move(event, STEPS[event.kind])
        elif event.kind == UNKEPT and event.subject in self._known.numbers:
            self._unkeep(self._known.numbers[event.subject])

    def _judge(self, number: int, event: Event) -> None:
        if event.subject in self._known.numbers:
            raise StateError("this mail has been judged already")
        rows = mail_rows(event)
        self._known.numbers[event.subject] = number
        self.messages[number] = [number, *map(_clean, rows.message)]
        for row in rows.recipients:
            self._known.states[event.subject, row[0]] = row[3]
            self.recipients[number, row[0]] = [number, *map(_clean, row)]
        self.findings.extend((number, *map(text, finding)) for finding in rows.findings)

    def _move(self, event: Event, then: State) -> None:
        address = event.data["recipient"].lower()
        now = self._known.states.get((event.subject, address))
        if now is None:
            raise StateError(f"no mail {event.subject} for that recipient is known")
        self._known.states[event.subject, address] = step(now, then)
        number = self._known.numbers[event.subject]
        if row := self.recipients.get((number, address)):
            row[4] = then
        else:
            self.moved[number, address] = then

    def _unkeep(self, number: int) -> None:
        if row := self.messages.get(number):
            row[-1] = False
        else:
            self.unkept.append(number)


def _clean(value: Any) -> Any:
    return text(value) if isinstance(value, str) else value


def known_of(found: Sequence[tuple[int, str, str | None, str | None]]) -> Known:
    """What rows of number, id, address and state say."""
    known = Known()
    for number, identifier, address, state in found:
        known.numbers[identifier] = number
        if address is not None and state is not None:
            known.states[identifier, address] = State(state)
    return known
