"""Who looks at a mail, and how long: all engines of a worker on one mail.

What it does: asks engines that wait for others (sockets, children) side by side in threads, meanwhile those that only compute
here in the calling thread, each with its deadline within the mail's budget; whoever does not look leaves UNCHECKED.
Not its job: what an engine does, what happens to the mail.
Raises: `EngineError` when the set of engines makes no sense; nothing for a mail.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.inspect.runner import Clock, Outcome, Role, Runner, Slot
from gatepost.mail.inspect.vote import combine
from gatepost.mail.model import Budget, Direction, EngineReport, EngineState, Envelope, Finding, Message

ALL_DIRECTIONS = frozenset(Direction)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the engines found together, and how each of them fared."""

    findings: tuple[Finding, ...]
    reports: tuple[EngineReport, ...]


class Scheduler:
    """The engines of one scan worker. Make it after forking: it starts threads.

    `quorum` is how many engines in the role QUORUM must say VIRUS for it to be one; a quorum of 1 is "any".
    """

    def __init__(self, slots: Sequence[Slot], quorum: int = 1, clock: Clock = time.monotonic) -> None:
        _check(slots, quorum)
        self._quorum = quorum
        # Those that wait for others are asked first and work while ours compute.
        self._runners = [Runner(slot, clock) for slot in sorted(slots, key=lambda slot: slot.engine.local)]

    def inspect(
        self, message: Message, envelope: Envelope, budget: Budget, directions: frozenset[Direction] = ALL_DIRECTIONS
    ) -> Inspection:
        """Have `message` looked at by every engine that sees mail of one of `directions`."""
        left = budget.left()
        begun = [
            (runner, runner.begin(message, envelope, left) if runner.slot.directions & directions else _NOT_MEANT)
            for runner in self._runners
        ]
        answers = [(runner, state if isinstance(state, Outcome) else runner.end(state)) for runner, state in begun]
        findings = combine([(runner.slot.role, outcome) for runner, outcome in answers], self._quorum)
        return Inspection(findings, tuple(outcome.report(runner.name) for runner, outcome in answers))

    def close(self) -> None:
        """Let the threads end."""
        for runner in self._runners:
            runner.close()


_NOT_MEANT = Outcome(EngineState.SKIPPED)


def _check(slots: Sequence[Slot], quorum: int) -> None:
    names = [slot.engine.name for slot in slots]
    if twice := {name for name in names if names.count(name) > 1}:
        raise EngineError(f"two engines are called {min(twice)!r}; give each a name of its own")
    members = sum(slot.role is Role.QUORUM for slot in slots)
    if quorum < 1 or (members and members < quorum):
        raise EngineError(f"a quorum of {quorum} cannot be reached by {members} engines with the role quorum")
