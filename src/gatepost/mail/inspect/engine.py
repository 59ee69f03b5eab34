"""The contract of an engine, the only kind of plug-in that Gatepost has.

What it does: says what an engine is asked and what it may answer.
Not its job: choosing engines or judging answers (`schedule`).
Raises: nothing. An engine raises `EngineError` when it cannot look, and that becomes an UNCHECKED finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gatepost.mail.model import Envelope, Finding, Message


class EngineError(Exception):
    """The engine did not look, or what it answered cannot be understood. Never raised for "found something"."""


class EngineTimeoutError(EngineError):
    """The engine did not answer by its deadline."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself: its version, and the mark (version or date) and time (seconds since the epoch, 0 unknown) of its signatures."""

    version: str
    signatures: str = ""
    signatures_at: float = 0.0


class Engine(Protocol):
    """An engine, made once in each scan worker by the factory that its entry point in `gatepost.engines` names.

    The factory has the signature `(name: str, options: Mapping[str, object]) -> Engine`; it raises `EngineError` with a remedy
    when the engine cannot work. With `local` true the engine only computes; otherwise it waits for somebody else
    (a socket, a child), is called in a thread of its own, and must return or raise by `deadline`.
    """

    name: str
    local: bool

    def info(self) -> EngineInfo:
        """Say versions; asked seldom, may talk to the engine. Raises EngineError."""
        ...

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Look at the raw mail and at every part; no finding means clean. `deadline` is in seconds of time.monotonic(). Raises EngineError."""
        ...


class EngineFactory(Protocol):
    """What an entry point of the group `gatepost.engines` is."""

    def __call__(self, name: str, options: Mapping[str, object]) -> Engine:
        """Make the engine. Raises EngineError."""
        ...
