"""Calls into code that is not ours, whose every error becomes a value.

The one place where a plug-in may raise anything at all without harm to its caller. Not its job: judging what was raised.
Raises: nothing but what ends the process (`KeyboardInterrupt`, `SystemExit`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def attempt(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | Exception:
    """Call `function` and give back its value, or the exception it raised."""
    try:
        return function(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything, and no error of it may pass as an answer
        return error
