"""A short run of every fuzz target; `python -m tests.fuzz` runs them as long as you like."""

import pytest

from tests.fuzz.__main__ import fuzz, load, names

SECONDS = 3


@pytest.mark.parametrize("name", names())
def test_the_invariant_holds_for_a_short_run(name: str) -> None:
    assert (load(name).__doc__ or "").strip(), "a target's docstring states its invariant"
    assert fuzz(name, SECONDS, number=20261123) > 10
