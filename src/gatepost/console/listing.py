"""A list of mail as pages without end: what is asked for, one page of it, and the counts on its filters.

What it does: makes a journal query of an address's parameters, cuts pages between mails and never within one, counts up to a bound.
Not its job: showing.
Raises: `Refused` for a parameter that makes no sense; `JournalError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gatepost.console.visit import Refused
from gatepost.journal.interface import Column, Journal, Query, Row
from gatepost.journal.states import State

PAGE = 50
MOST = 2_000
"""Rows are counted as far as this; the count is then shown as "2,000+"."""

TEXTS = ("id", "sender", "recipient", "subject", "client", "message_id", "direction", "verdict", "finding", "engine", "digest")
VERDICTS = ("clean", "virus", "banned", "spam", "suspect", "ambiguous", "encrypted", "unchecked")
_EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first, and from where the next page goes on (0: there is none)."""

    rows: Sequence[Row]
    before: int


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter with the count of what it would show; `more` says that there are more than counted."""

    value: str
    count: int
    more: bool
    chosen: bool


def query_of(parameters: Mapping[str, str], states: Sequence[str] = ()) -> Query:
    """What the parameters ask for. Days are local and written 2026-11-23; `until` is the last day that counts."""
    texts: dict[str, Any] = {name: parameters.get(name, "").strip() for name in TEXTS}
    known = {str(state) for state in State}
    if unknown := [state for state in states if state not in known]:
        raise Refused(400, f"There is no state {unknown[0]!r}.")
    before = parameters.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) < 19):  # noqa: PLR2004 - 64 bits
        raise Refused(400, "This page does not exist.")
    return Query(
        **texts,
        since=_day(parameters.get("since", ""), 0),
        until=_day(parameters.get("until", ""), 1),
        states=tuple(State(state) for state in states),
        before=int(before or 0),
        limit=PAGE,
    )


def _day(text: str, later: int) -> float:
    if not text.strip():
        return 0.0
    try:
        return (datetime.strptime(text.strip(), "%Y-%m-%d").astimezone() + timedelta(days=later)).timestamp()
    except (ValueError, OverflowError):
        raise Refused(400, f"{text!r} is no day; write it like 2026-11-23.") from None


def page(journal: Journal, query: Query) -> Page:
    """One page. All recipients of a mail stand on the same page, so that none is lost between two."""
    rows = journal.search(replace(query, limit=query.limit + 1))
    if len(rows) <= query.limit:
        return Page(rows, 0)
    last = rows[-1].number
    whole = [row for row in rows if row.number != last]
    if not whole:
        whole = journal.search(replace(query, id=rows[0].id, limit=_EVERYTHING))
    return Page(whole, whole[-1].number)


def chips(journal: Journal, query: Query, by: Column, values: Sequence[str]) -> list[Chip]:
    """A chip for each value of a column, with how many rows it would show beside the other filters of `query`."""
    chosen = {str(state) for state in query.states} if by == "state" else {query.verdict} - {""}
    others = replace(query, states=(), before=0) if by == "state" else replace(query, verdict="", before=0)
    counts = journal.count(others, by, MOST)
    if sum(counts.values()) >= MOST and others == Query(limit=others.limit):
        # Too much to count row by row; but without other filters each value has an index.
        one_by_one = ((value, _only(others, by, value)) for value in values)
        counts = {value: sum(journal.count(only, by, MOST).values()) for value, only in one_by_one}
        bounded = {value for value, count in counts.items() if count >= MOST}
    else:
        bounded = set(values) if sum(counts.values()) >= MOST else set()
    return [Chip(value, counts.get(value, 0), value in bounded, value in chosen) for value in values]


def _only(query: Query, by: Column, value: str) -> Query:
    return replace(query, states=(State(value),)) if by == "state" else replace(query, verdict=value)
