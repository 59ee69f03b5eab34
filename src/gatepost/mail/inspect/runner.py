"""One engine at work in one scan worker: asked in a thread when it waits for others, given up at its deadline, rested after.

What it does: turns whatever an engine does (answer, raise, hang, talk nonsense) into an `Outcome`.
Not its job: what several outcomes mean together (`vote`), which engine sees which mail (`schedule`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

from gatepost.mail.inspect.engine import Engine, EngineInfo, EngineTimeoutError
from gatepost.mail.model import Direction, EngineReport, EngineState, Envelope, Finding, Kind, Message
from gatepost.system.foreign import attempt

INFO_SECONDS = 60.0  # how long an engine's word on its versions is believed
INFO_PAUSE_SECONDS = 5.0  # an engine that does not tell them is not asked for so long: the question costs time of the mail that waits
GRACE_SECONDS = 0.25  # an engine that keeps its own deadline answers a little after it
FIRST_REST_SECONDS = 1.0  # after a time-out; doubles with each further one
REST_DEADLINES = 2.0
"""The longest rest, in deadlines of the engine: a worker spends at most a third of its time on one that hangs, and an engine that is
well again is asked again soon. A longer rest would turn mail away for a minute after trouble of a few seconds."""
STUCK_THREADS = 4  # threads of one engine that may hang at once

Clock = Callable[[], float]
Question = tuple[Message, Envelope, float]


class Role(StrEnum):
    """What an engine's word counts: alone, as one vote of a quorum, or as a hint."""

    REQUIRED = "required"
    QUORUM = "quorum"
    ADVISORY = "advisory"


@dataclass(frozen=True, slots=True)
class Slot:
    """An engine's place: its role, how many seconds a mail it gets, and mail of which directions it sees."""

    engine: Engine
    role: Role = Role.REQUIRED
    seconds: float = 30.0
    directions: frozenset[Direction] = frozenset(Direction)


class Outcome(NamedTuple):
    """How an engine's work on one mail ended; it looked only if `state` is CLEAN or FOUND."""

    state: EngineState
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    info: EngineInfo = EngineInfo("")

    def report(self, name: str) -> EngineReport:
        """Say it for receipt and journal."""
        return EngineReport(name, self.info.version, self.state, self.seconds, self.info.signatures)


class Runner:
    """Asks one engine; `begin` and then `end` for each mail. Belongs to one thread of one worker."""

    def __init__(self, slot: Slot, clock: Clock) -> None:
        self.slot = slot
        self.name = slot.engine.name
        self._clock = clock
        self._asker = _Asker(slot.engine, clock)
        self._line: _Line | None = None
        self._stuck: list[_Line] = []
        self._rest_until = 0.0
        self._rest = 0.0

    def begin(self, message: Message, envelope: Envelope, seconds: float) -> Outcome | _Pending:
        """Ask, with at most `seconds` to go. An engine that waits for others answers later, to `end`."""
        now = self._clock()
        if seconds <= 0:
            return self._not_asked("no time is left for this mail")
        if now < self._rest_until:
            return self._not_asked(f"it did not answer in time before; it is asked again in {self._rest_until - now:.0f} s")
        question = message, envelope, now + min(self.slot.seconds, seconds)
        if self.slot.engine.local:
            return self._asker.ask(question)
        line = self._free_line()
        if line is None:
            return self._not_asked(f"{STUCK_THREADS} earlier questions still hang")
        line.questions.put(question)
        return _Pending(line, now, question[2])

    def end(self, pending: _Pending) -> Outcome:
        """Give the answer, waiting for it until the deadline at most."""
        try:
            outcome = pending.line.answers.get(timeout=max(0.0, pending.deadline + GRACE_SECONDS - self._clock()))
        except Empty:
            self._give_up(pending.line)
            why = f"no answer within {pending.deadline - pending.begun:.1f} s"
            outcome = _unchecked(self.name, EngineState.TIMEOUT, why, self._clock() - pending.begun)
        self._remember(outcome.state)
        return outcome

    def close(self) -> None:
        """Let the thread end as soon as it is free."""
        if self._line:
            self._line.questions.put(None)
            self._line = None

    def _remember(self, state: EngineState) -> None:
        if state is not EngineState.TIMEOUT:
            self._rest = 0.0
            return
        self._rest = min(max(self._rest * 2, FIRST_REST_SECONDS), REST_DEADLINES * self.slot.seconds)
        self._rest_until = self._clock() + self._rest

    def _not_asked(self, why: str) -> Outcome:
        return _unchecked(self.name, EngineState.SKIPPED, why, 0.0)

    def _free_line(self) -> _Line | None:
        if self._line is None:
            self._stuck = [line for line in self._stuck if line.thread.is_alive()]
            if len(self._stuck) >= STUCK_THREADS:
                return None
            self._line = _Line(self._asker)
        return self._line

    def _give_up(self, line: _Line) -> None:
        line.questions.put(None)
        self._stuck.append(line)
        self._line = None


class _Line:
    """A thread that puts one question after the other to an engine. A daemon: a hanging engine cannot hold up the worker's end."""

    def __init__(self, asker: _Asker) -> None:
        self.questions: SimpleQueue[Question | None] = SimpleQueue()
        self.answers: SimpleQueue[Outcome] = SimpleQueue()
        self._asker = asker
        self.thread = Thread(target=self._run, name=f"engine-{asker.engine.name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (question := self.questions.get()) is not None:
            self.answers.put(self._asker.ask(question))
            del question  # or the mail would stay mapped until the next one comes


class _Pending(NamedTuple):
    line: _Line
    begun: float
    deadline: float


class _Asker:
    """Puts one question to an engine and judges the form of what comes back."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock
        self._info = EngineInfo("")
        self._info_until = float("-inf")

    def ask(self, question: Question) -> Outcome:
        begun = self._clock()
        info = self._versions(begun)
        answer = attempt(self.engine.inspect, *question)
        seconds = self._clock() - begun
        if isinstance(answer, EngineTimeoutError):
            return _unchecked(self.engine.name, EngineState.TIMEOUT, str(answer), seconds, info)
        if isinstance(answer, Exception):
            return _unchecked(self.engine.name, EngineState.FAILED, f"{type(answer).__name__}: {answer}", seconds, info)
        if not _is_findings(answer):
            return _unchecked(self.engine.name, EngineState.FAILED, "it answered something that is no list of findings", seconds, info)
        return Outcome(EngineState.FOUND if answer else EngineState.CLEAN, tuple(answer), seconds, info)

    def _versions(self, now: float) -> EngineInfo:
        if now >= self._info_until:
            answer = attempt(self.engine.info)
            if isinstance(answer, EngineInfo):
                self._info, self._info_until = answer, now + INFO_SECONDS
            else:
                self._info, self._info_until = EngineInfo(""), self._clock() + INFO_PAUSE_SECONDS
        return self._info


def _is_findings(answer: object) -> bool:
    """Judge an answer as data, since a plug-in need not keep to its types."""
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        return False
    return all(isinstance(item, Finding) and item.kind in _KINDS for item in answer)


_KINDS = frozenset(Kind)
_NAMES = {EngineState.FAILED: "engine-failed", EngineState.TIMEOUT: "engine-timeout", EngineState.SKIPPED: "engine-not-asked"}


def _unchecked(engine: str, state: EngineState, why: str, seconds: float, info: EngineInfo | None = None) -> Outcome:
    finding = Finding(Kind.UNCHECKED, _NAMES[state], source=engine, detail=why)
    return Outcome(state, (finding,), seconds, info or EngineInfo(""))
