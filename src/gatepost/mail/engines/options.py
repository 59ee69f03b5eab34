"""Options of one engine, read by type.

Not its job: where they come from (the site file) and what they mean (the engine).
Raises: `EngineError` naming the engine, the option and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from gatepost.mail.inspect.engine import EngineError


class Options:
    """Gives out an engine's options and remembers which were asked for, so that `done` can refuse a misspelt one."""

    def __init__(self, engine: str, values: Mapping[str, object]) -> None:
        self.engine = engine
        self._values = values
        self._known: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        """Give a text; without a default it must be there and not empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise self.error(key, "must be a text")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Give a list of texts; a single text counts as a list of one."""
        value = self._take(key, default)
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "must be a list of texts")
        return tuple(value)

    def number(self, key: str, default: float, least: float = 0.0) -> float:
        """Give a number of at least `least`."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise self.error(key, f"must be a number of at least {least:g}")
        return float(value)

    def size(self, key: str, default: int) -> int:
        """Give a number of bytes, at least 1."""
        return int(self.number(key, default, 1))

    def codes(self, key: str, default: tuple[int, ...]) -> frozenset[int]:
        """Give a set of exit statuses."""
        value = self._take(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            raise self.error(key, "must be a list of whole numbers")
        return frozenset(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Give true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Give one of `choices`; the first is the default."""
        value = self.text(key, choices[0])
        if value not in choices:
            raise self.error(key, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def done(self) -> None:
        """Refuse options that nobody asked for."""
        for key in self._values:
            if key not in self._known:
                near = get_close_matches(key, self._known, 1, 0)
                raise self.error(key, f"is not known; nearest is {near[0]!r}" if near else "is not known; this engine has no options")

    def error(self, key: str, what: str) -> EngineError:
        """Make the error for option `key`."""
        return EngineError(f"engine {self.engine}: option {key!r} {what}")

    def _take(self, key: str, default: object) -> object:
        self._known.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise self.error(key, "is missing")
        return value
