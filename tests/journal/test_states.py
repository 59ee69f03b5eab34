"""Each mail ends in exactly one state for each recipient."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.journal.states import FOLLOWS, State, StateError, step


def test_the_table_names_every_state() -> None:
    assert set(FOLLOWS) == {None, *State}


@given(st.lists(st.sampled_from(State), max_size=8))
def test_no_way_leads_from_delivered_to_anything_else(steps) -> None:
    now = None
    for then in steps:
        try:
            following = step(now, then)
        except StateError:
            continue
        assert now not in {State.DELIVERED, State.DELETED, State.RELEASED, State.TEMPFAILED} or following is now
        now = following


@pytest.mark.parametrize("state", State)
def test_the_same_again_changes_nothing(state) -> None:
    """An event told twice after a crash does no harm."""
    assert step(state, state) is state


def test_a_step_that_cannot_be_is_named() -> None:
    with pytest.raises(StateError, match="cannot become released when it is delivered"):
        step(State.DELIVERED, State.RELEASED)
