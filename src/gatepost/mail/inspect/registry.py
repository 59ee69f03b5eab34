"""Engines by name: whatever is installed under the entry point group `gatepost.engines`, our own among them.

Not its job: which engines a site uses.
Raises: `EngineError` when no engine has that name, its package cannot be imported, or it says that it cannot work.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar, cast

from gatepost.mail.inspect.cache import Cached
from gatepost.mail.inspect.content import ContentEngine
from gatepost.mail.inspect.engine import Engine, EngineError, EngineFactory
from gatepost.system.foreign import attempt

GROUP = "gatepost.engines"
CACHE_OPTION = "verdict_cache"

T = TypeVar("T")


def names() -> tuple[str, ...]:
    """Name every kind of engine that is installed."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def make(kind: str, name: str = "", options: Mapping[str, object] | None = None) -> Engine:
    """Make an engine of `kind`, called `name` (by default like its kind) in findings and reports.

    With the option `verdict_cache`, a number of answers to remember, an engine that looks at content alone gets a cache in front.
    """
    given = dict(options or {})
    remembered = given.pop(CACHE_OPTION, 0)
    engine = _checked(kind, attempt(_factory(kind), name or kind, given))
    return _cached(engine, remembered) if remembered else engine


def preload(kind: str, options: Mapping[str, object] | None = None) -> None:
    """Let a kind of engine load what forked workers will share. Call it once before forking; engines without such a need ignore it."""
    hook = getattr(_factory(kind), "preload", None)
    if hook is not None:
        given = {key: value for key, value in (options or {}).items() if key != CACHE_OPTION}
        _checked(kind, attempt(hook, given))


def _factory(kind: str) -> EngineFactory:
    factory: EngineFactory = _checked(kind, attempt(_entry(kind).load))
    return factory


def _cached(engine: Engine, size: object) -> Cached:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise EngineError(f"engine {engine.name}: option {CACHE_OPTION!r} must be a whole number of answers, 0 for no cache")
    if not (hasattr(engine, "select") and hasattr(engine, "look")):
        raise EngineError(f"engine {engine.name}: option {CACHE_OPTION!r} cannot be used, since this engine looks at more than content")
    return Cached(cast("ContentEngine", engine), size)


def _entry(kind: str) -> EntryPoint:
    found = tuple(entry_points(group=GROUP, name=kind))
    if not found:
        near = get_close_matches(kind, names(), 1, 0.0)
        raise EngineError(f"no engine is called {kind!r}" + (f"; nearest is {near[0]!r}" if near else "; none is installed"))
    if len({entry.value for entry in found}) > 1:
        raise EngineError(f"two installed packages offer an engine {kind!r}: {', '.join(entry.value for entry in found)}; remove one")
    return found[0]


def _checked(kind: str, answer: T | Exception) -> T:
    if isinstance(answer, EngineError):
        raise answer
    if isinstance(answer, Exception):
        raise EngineError(f"engine {kind!r} cannot be used: {type(answer).__name__}: {answer}") from answer
    return answer
