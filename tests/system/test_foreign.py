"""Calls into code that is not ours."""

from __future__ import annotations

import pytest

from gatepost.system.foreign import attempt


def test_a_value_is_given_back():
    """Arguments go in, the value comes out."""
    assert attempt(divmod, 7, 2) == (3, 1)
    assert attempt(int, "ff", base=16) == 255


@pytest.mark.parametrize("error", [ValueError("x"), OSError(2, "y"), RecursionError(), MemoryError(), AssertionError()])
def test_an_error_becomes_a_value(error: Exception):
    """Whatever is raised comes back as itself."""

    def fail() -> None:
        raise error

    assert attempt(fail) is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_still_does(error: type[BaseException]):
    """An interrupt is nobody's answer."""

    def fail() -> None:
        raise error

    with pytest.raises(error):
        attempt(fail)
