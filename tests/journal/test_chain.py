"""Whoever changes, removes, inserts or swaps events breaks the chain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.journal import chain
from gatepost.journal.chain import ChainError
from gatepost.journal.event import ALPHABET, Event, new_id

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    Event, st.floats(0, 1e10), st.text(max_size=8), st.text(max_size=8), st.dictionaries(st.text(max_size=4), json_values, max_size=3)
)


def linked(bodies: list[bytes]) -> list[tuple[int, bytes, bytes]]:
    rows, previous = [], chain.GENESIS
    for number, body in enumerate(bodies, 1):
        previous = chain.link(previous, body)
        rows.append((number, body, previous))
    return rows


@given(events)
def test_an_event_comes_back_as_it_was_and_has_one_form(event) -> None:
    body = chain.canonical(event)
    assert chain.read(body) == event
    assert chain.canonical(chain.read(body)) == body
    backwards = Event(event.at, event.kind, event.subject, dict(reversed(event.data.items())))
    assert chain.canonical(backwards) == body


def test_a_whole_chain_holds() -> None:
    rows = linked([b"one", b"two", b"three"])
    assert chain.verify(rows) == (3, rows[2][2])
    assert chain.verify(rows[1:], rows[0][2], 1) == (3, rows[2][2])
    assert chain.verify([]) == (0, chain.GENESIS)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=2, max_size=6), st.data())
def test_any_change_breaks_the_chain(bodies, data) -> None:
    rows = linked(bodies)
    place = data.draw(st.integers(0, len(rows) - 1))
    number, body, found = rows[place]
    changes = {
        "body": [*rows[:place], (number, body + b"x", found), *rows[place + 1 :]],
        "hash": [*rows[:place], (number, body, bytes(32)), *rows[place + 1 :]],
        "insert": [*rows[:place], (number, b"forged", found), *rows[place:]],
    }
    if place < len(rows) - 1:
        changes["remove"] = [*rows[:place], *rows[place + 1 :]]
        changes["renumber"] = [*rows[:place], *[(row[0] - 1, *row[1:]) for row in rows[place + 1 :]]]
    with pytest.raises(ChainError) as caught:
        chain.verify(changes[data.draw(st.sampled_from(sorted(changes)))])
    assert caught.value.sequence >= place + 1


@given(st.floats(0, 3e10), st.floats(0, 3e10), st.integers(0, 2**25 - 1))
def test_ids_sort_by_time_and_can_be_said_on_the_telephone(one, other, random) -> None:
    first, second = new_id(one, random), new_id(other, random)
    assert len(first) == 14
    assert set(first) <= set(ALPHABET)
    if int(one * 1000) < int(other * 1000):
        assert first < second
