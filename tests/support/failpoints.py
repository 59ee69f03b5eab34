"""`gatepost` that dies at a named step: `python failpoints.py STEP TIMES SABOTAGE mail serve ...` runs the rest as `gatepost` does.

All processes of the gateway are forks of this one, so whoever comes to the step is killed as by the kernel (SIGKILL): at every fifth pass,
so that mails get through between, until that has happened `TIMES` times over all processes. STEP and SABOTAGE may be "none".
A sabotage makes a gateway that breaks a promise, for negative controls.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import mmap
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVERY = 5
"""One pass in so many kills."""


@dataclass(frozen=True)
class Step:
    """Before or after a method; with `armed` only once that method of the same object has ended."""

    module: str
    method: str
    after: bool = False
    armed: str = ""


SESSION, MILTER = "gatepost.mail.receive.smtp_session", "gatepost.mail.receive.milter_connection"
STEPS = {
    "front: a recipient is taken": Step(SESSION, "SmtpSession._recipient", after=True),
    "front: the mail is read": Step("gatepost.services.gate", "Gate.message"),
    "front: the mail is scanned": Step("gatepost.services.scanners", "Scanners.scan", after=True),
    "front: before the keeper is asked": Step("gatepost.services.gate", "Gate._record"),
    "front: after the keeper has answered": Step("gatepost.services.gate", "Gate._record", after=True),
    "front: before the mail is handed on": Step(SESSION, "SmtpSession._forward"),
    "front: after the next hop's 250": Step(SESSION, "SmtpSession._forward", after=True),
    "front: before the client's 250": Step(SESSION, "SmtpSession._end_of_message", after=True),
    "front: after the client's 250": Step(SESSION, "SmtpSession._flush", after=True, armed="_end_of_message"),
    "front: before the milter's last word": Step(MILTER, "MilterConnection._answer"),
    "front: after the milter's last word": Step(MILTER, "MilterConnection._answer", after=True),
    "keeper: before the quarantine": Step("gatepost.mail.act.contents", "Contents.put"),
    "keeper: after the quarantine": Step("gatepost.mail.act.contents", "Contents.put", after=True),
    "keeper: before the commit": Step("gatepost.journal.store", "SqliteJournal.append"),
    "keeper: after the commit": Step("gatepost.journal.store", "SqliteJournal.append", after=True),
    "keeper: after its answer": Step("gatepost.services.keeperd", "_Asked.answer", after=True),
    "scan worker: before it looks": Step("gatepost.services.scand", "_one"),
    "scan worker: after it has looked": Step("gatepost.services.scand", "_one", after=True),
}


class Counter:
    """Counts passes and kills over all forks."""

    def __init__(self, times: int) -> None:
        self._shared = mmap.mmap(-1, 16)
        self._times = times

    def passed(self) -> None:
        """Come by; maybe not any further."""
        passes, kills = self._shared[0], self._shared[1]
        self._shared[0] = (passes + 1) % EVERY
        if passes == EVERY - 1 and kills < self._times:
            self._shared[1] = kills + 1
            os.kill(os.getpid(), signal.SIGKILL)


def _owner(module: str, method: str) -> tuple[Any, str]:
    path, _, name = method.rpartition(".")
    found = importlib.import_module(module)
    return (getattr(found, path) if path else found), name


def _around(call: Callable[..., Any], before: Callable[[Any], None], after: Callable[[Any], None]) -> Callable[..., Any]:
    """The function, with something done before and after it for its first argument."""
    if inspect.iscoroutinefunction(call):

        @functools.wraps(call)
        async def waiting(*arguments: Any, **options: Any) -> Any:
            before(arguments[0])
            result = await call(*arguments, **options)
            after(arguments[0])
            return result

        return waiting

    @functools.wraps(call)
    def plain(*arguments: Any, **options: Any) -> Any:
        before(arguments[0])
        result = call(*arguments, **options)
        after(arguments[0])
        return result

    return plain


def install(step: Step, counter: Counter) -> None:
    """Put the failpoint in."""
    armed: set[int] = set()

    def nothing(_first: Any) -> None: ...

    def come(first: Any) -> None:
        if not step.armed:
            counter.passed()
        elif id(first) in armed:
            armed.discard(id(first))
            counter.passed()

    owner, name = _owner(step.module, step.method)
    setattr(owner, name, _around(getattr(owner, name), *((nothing, come) if step.after else (come, nothing))))
    if step.armed:
        setattr(owner, step.armed, _around(getattr(owner, step.armed), nothing, lambda first: armed.add(id(first))))


def answers_before_it_writes() -> None:
    """A keeper that says "done" first."""
    owner, name = _owner("gatepost.services.keeperd", "Keeperd._commit")
    messages = importlib.import_module("gatepost.services.messages")
    honest = getattr(owner, name)

    def careless(self: Any, group: list[Any]) -> Any:
        for asked in group:
            request = asked.numbered.request
            done = messages.Done(self._receipt(request)) if isinstance(request, messages.Record) else messages.Done()
            asked.channel.send(messages.encode(messages.Answered(asked.numbered.number, done)))
        return honest(self, group)

    setattr(owner, name, careless)


def syncs_nothing() -> None:
    """A gateway that leaves its files to the system's own pace."""
    os.fsync = lambda _fd: None  # the point of a sabotage


SABOTAGES = {"answers before it writes": answers_before_it_writes, "syncs nothing": syncs_nothing}


def program(step: str = "none", times: int = 3, sabotage: str = "none") -> tuple[str, ...]:
    """What stands after the interpreter in place of `-m gatepost`."""
    return str(Path(__file__)), step, str(times), sabotage


def main() -> None:
    step, times, sabotage, *rest = sys.argv[1:]
    if step != "none":
        install(STEPS[step], Counter(int(times)))
    if sabotage != "none":
        SABOTAGES[sabotage]()
    sys.argv = ["gatepost", *rest]
    importlib.import_module("gatepost.cli.main").main()


if __name__ == "__main__":
    main()
