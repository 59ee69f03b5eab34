"""Keeps child processes alive: forks them, starts again what died, hands on signals.

What it does: a small supervisor for processes that are forked from one parent which has loaded everything beforehand.
Not its job: what the children do; anything that needs threads (the parent must have none when it forks).
Raises: `OSError` when the machine cannot fork.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.system.accounts import Account, become

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_NAME_LIMIT = 15
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_LOOK = 5.0
_QUICK = 5.0
_PAUSE_LIMIT = 10.0


@dataclass(slots=True, eq=False)
class Child:
    """One process to keep alive, seen by ps(1) under its name. `run` is called in the child; its return ends the process with status 0.

    With an `account` it becomes that user first. It is killed when `overdue` says so, which is asked every few seconds.
    """

    name: str
    run: Callable[[], None]
    account: Account | None = None
    overdue: Callable[[], bool] | None = None
    restart: bool = True
    pid: int = 0
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0


class Supervisor:
    """The parent. `on_hangup` is called for SIGHUP, in the parent; `on_death(child)` whenever one ends; `on_look` every few seconds."""

    def __init__(
        self,
        on_hangup: Callable[[], None],
        on_death: Callable[[Child], None] = lambda _child: None,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._children: list[Child] = []
        self._on_hangup = on_hangup
        self._on_death = on_death
        self._on_look = on_look
        self._stopping = False
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def add(self, child: Child) -> None:
        """Start a child and keep it alive."""
        self._children.append(child)
        self._start(child)

    def retire(self, child: Child, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask a child to end, and do not start it again."""
        child.restart = False
        self.tell(child, number)

    def again(self, child: Child) -> None:
        """Ask a child to end; it starts again at once."""
        self.tell(child, signal.SIGTERM)

    def tell(self, child: Child, number: signal.Signals) -> None:
        """Send a signal to a child, if it lives."""
        if child.pid:
            os.kill(child.pid, number)

    def _start(self, child: Child) -> None:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            _become(child, parent)
        child.pid, child.started, child.due = pid, time.monotonic(), 0.0
        log.debug("%s started as process %d", child.name, pid)

    def serve(self, drain: float) -> None:
        """Live until SIGTERM or SIGINT; then give the children `drain` seconds to finish."""
        while not self._stopping:
            wait = min((child.due - time.monotonic() for child in self._children if child.due), default=_LOOK)
            self._handle(signal.sigtimedwait(_SIGNALS, max(0.0, min(wait, _LOOK))))
            self._start_due()
            self._kill_overdue()
            self._on_look()
        self._stop(drain)

    def _handle(self, info: signal.struct_siginfo | None) -> None:
        if info is None:
            return
        if info.si_signo == signal.SIGHUP:
            self._on_hangup()
        elif info.si_signo in (signal.SIGTERM, signal.SIGINT):
            self._stopping = True
        self._reap()

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in [child for child in self._children if child.pid == pid]:
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, code: int) -> None:
        child.pid = 0
        if not child.restart or self._stopping:
            self._children.remove(child)
        else:
            quick = time.monotonic() - child.started < _QUICK
            child.pause = min(_PAUSE_LIMIT, max(0.1, child.pause * 2)) if quick else 0.0
            child.due = time.monotonic() + child.pause
            log.warning("%s ended (%s); it starts again", child.name, f"signal {-code}" if code < 0 else f"status {code}")
        self._on_death(child)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.due and child.due <= now and not self._stopping:
                self._start(child)

    def _kill_overdue(self) -> None:
        for child in self._children:
            if child.pid and child.overdue is not None and child.overdue():
                log.error("%s took too long; it is killed", child.name)
                self.tell(child, signal.SIGKILL)

    def _stop(self, drain: float) -> None:
        """End the children in the reverse order of their start, so that what others need ends last."""
        deadline = time.monotonic() + drain
        for child in reversed(tuple(self._children)):
            self.tell(child, signal.SIGTERM)
            while child in self._children and child.pid and time.monotonic() < deadline:
                signal.sigtimedwait((signal.SIGCHLD,), 0.1)
                self._reap()
        for child in tuple(self._children):
            self.tell(child, signal.SIGKILL)


def _become(child: Child, parent: int) -> None:
    """The child's whole life; never returns."""
    code = 1
    try:
        libc = ctypes.CDLL(None)
        if child.account is not None:
            become(child.account)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # only now: a change of user clears it (prctl(2))
        libc.prctl(_PR_SET_NAME, child.name.encode()[:_NAME_LIMIT])
        if os.getppid() != parent:
            os._exit(1)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        child.run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 the edge of a process: whatever it is, it is said, and the process ends
        traceback.print_exc()
    finally:
        os._exit(code)
