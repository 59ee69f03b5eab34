"""The scan workers as the front sees them: who is idle, what waits, who died with which mail.

What it does: hands each mail to an idle worker by descriptor and gives back its verdict. Small mails have a lane of their own, so
that large ones never hold all workers. A mail that kills two workers is poison: its verdict is UNCHECKED.
Not its job: starting workers (`supervisor`), scanning (`scand`).
Raises: `OverloadError` when too much waits already; the caller answers a temporary failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from gatepost.mail.act.clean import Cleaned, CleanError, Order
from gatepost.mail.model import Direction, Envelope, Finding, Kind, Verdict
from gatepost.mail.receive.spool import Spool
from gatepost.system.channel import AsyncChannel
from gatepost.system.sockets import credentials, listen_unix, listening

log = logging.getLogger(__name__)

SMALL = 256 * 1024
"""Mails up to this size (bytes) use the lane of small mails."""

CRASHES = 2
"""So many workers may die over one mail before it is held as poison."""

PATIENCE = 15.0
"""Seconds over a mail's time after which a worker is killed that did not end by itself, because it is stopped or stuck in the kernel."""

RECIPIENTS = 1_000
"""Engines are told of so many recipients at most."""


class OverloadError(Exception):
    """Too many mails wait for a worker already."""


class UnansweredError(Exception):
    """No worker answered for a mail. `name` is that of the finding, the text its detail."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name


class Job(msgspec.Struct, frozen=True):
    """What a worker is told of a mail whose bytes come as a descriptor: `size` in bytes, `directions` it goes for its recipients.

    With an `order` it is to be cleaned and not to be scanned.
    """

    envelope: Envelope
    size: int
    directions: frozenset[Direction]
    order: Order | None = None


class Spoiled(msgspec.Struct, frozen=True, tag="spoiled"):
    """A mail that cannot be cleaned, and why."""

    why: str


class _Made(msgspec.Struct, frozen=True, tag="made"):
    cleaned: Cleaned


encode_job = msgspec.msgpack.Encoder().encode
decode_job = msgspec.msgpack.Decoder(Job).decode
encode_verdict = msgspec.msgpack.Encoder().encode
decode_verdict = msgspec.msgpack.Decoder(Verdict).decode
_decode_cleaned = msgspec.msgpack.Decoder(_Made | Spoiled).decode


def encode_cleaned(answer: Cleaned | Spoiled) -> bytes:
    """The answer to an order."""
    return msgspec.msgpack.encode(_Made(answer) if isinstance(answer, Cleaned) else answer)


@dataclass(slots=True, eq=False)
class _Waiting:
    payload: bytes
    spool: Spool
    answer: asyncio.Future[bytes]
    crashes: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    job: _Waiting | None = None
    watch: asyncio.TimerHandle | None = None
    channel: AsyncChannel = field(init=False)

    def leave(self) -> _Waiting | None:
        """End the job, however it ended; gives it."""
        if self.watch is not None:
            self.watch.cancel()
        job, self.job, self.watch = self.job, None, None
        return job


class Scanners:
    """All workers that have connected, and the mails that wait for them; `wall` is how many seconds a mail may take.

    Workers of other users than root and our own are those of `users` alone.
    """

    def __init__(self, path: Path, queue_limit: int = 1_000, wall: float = 60.0, users: frozenset[int] = frozenset()) -> None:
        self._path = path
        self._users = users | {0, os.geteuid()}
        self._queue_limit = queue_limit
        self._patience = wall + PATIENCE
        self._workers: set[_Worker] = set()
        self._idle: deque[_Worker] = deque()
        self._small: deque[_Waiting] = deque()
        self._large: deque[_Waiting] = deque()
        self._listener: socket.socket | None = None

    @property
    def workers(self) -> int:
        """How many workers are connected."""
        return len(self._workers)

    @property
    def waiting(self) -> int:
        """How many mails wait for a worker."""
        return len(self._small) + len(self._large)

    def listen(self, inherited: socket.socket | None = None) -> None:
        """Let workers connect to the socket, or to one that somebody bound there."""
        self._listener = listen_unix(self._path) if inherited is None else listening(inherited)
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _address = listener.accept()
        except OSError as error:
            log.error("a scan worker cannot connect: %s", error)  # noqa: TRY400 the reason is all there is
            return
        if credentials(sock).uid not in self._users:
            log.error("user %d wants to be a scan worker, and is none", credentials(sock).uid)
            sock.close()
            return
        worker = _Worker()
        worker.channel = AsyncChannel(sock, lambda payload, _descriptor: self._finished(worker, payload), lambda: self._lost(worker))
        self._workers.add(worker)
        self._idle.append(worker)
        self._dispatch()

    async def scan(self, envelope: Envelope, spool: Spool, directions: frozenset[Direction] = frozenset(Direction)) -> Verdict:
        """Have one mail looked at; cancelling forgets the result, not the work. Raises OverloadError."""
        try:
            return decode_verdict(await self._ask(Job(_bounded(envelope), spool.size, directions), spool))
        except UnansweredError as error:
            return _unchecked(error.name, str(error))
        except msgspec.MsgspecError as error:
            return _unchecked("scanner-garbage", f"the scan worker's answer cannot be read: {error}")

    async def clean(self, envelope: Envelope, spool: Spool, order: Order) -> Cleaned:
        """Have one mail cleaned. Raises CleanError, OverloadError."""
        try:
            answer: _Made | Spoiled = _decode_cleaned(await self._ask(Job(_bounded(envelope), spool.size, frozenset(), order), spool))
        except (UnansweredError, msgspec.MsgspecError) as error:
            raise CleanError(str(error)) from None
        if isinstance(answer, Spoiled):
            raise CleanError(answer.why)
        return answer.cleaned

    async def _ask(self, job: Job, spool: Spool) -> bytes:
        if self.waiting >= self._queue_limit:
            raise OverloadError(f"{self.waiting} mails wait already")
        waiting = _Waiting(encode_job(job), spool, asyncio.get_running_loop().create_future())
        (self._small if spool.size <= SMALL else self._large).append(waiting)
        self._dispatch()
        return await waiting.answer

    def _dispatch(self) -> None:
        while self._idle and (waiting := self._next()) is not None:
            worker = self._idle.popleft()
            worker.job = waiting
            worker.watch = asyncio.get_running_loop().call_later(self._patience, self._frozen, worker)
            try:
                worker.channel.send(waiting.payload, waiting.spool.fd)
            except OSError as error:
                # Out of descriptors: the mail is put off, the worker has heard nothing and is still idle.
                worker.leave()
                self._idle.append(worker)
                waiting.answer.set_exception(UnansweredError("not-handed-over", f"{error.strerror}; raise the limit of open files"))

    def _frozen(self, worker: _Worker) -> None:
        """A worker that ends neither its mail nor itself, in whatever way: it is killed, and another one tries."""
        log.error("a scan worker gave no answer for %.0f s; it is killed", self._patience)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(worker.channel.peer.pid, signal.SIGKILL)
        worker.channel.close()

    def _next(self) -> _Waiting | None:
        if waiting := _pop_live(self._small):
            return waiting
        busy_with_large = sum(1 for worker in self._workers if worker.job and worker.job.spool.size > SMALL)
        if busy_with_large < max(1, len(self._workers) - 1):
            return _pop_live(self._large)
        return None

    def _finished(self, worker: _Worker, payload: bytes) -> None:
        waiting = worker.leave()
        if waiting is None:
            log.error("a scan worker answered without a question; it is dismissed")
            worker.channel.close()
            return
        self._idle.append(worker)
        if not waiting.answer.done():
            waiting.answer.set_result(payload)
        self._dispatch()

    def _lost(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        waiting = worker.leave()
        if waiting is None or waiting.answer.done():
            return
        waiting.crashes += 1
        if waiting.crashes >= CRASHES:
            log.error("%d scan workers died over a mail of %d bytes: it is poison", CRASHES, waiting.spool.size)
            waiting.answer.set_exception(UnansweredError("poison", f"{CRASHES} scan workers died over this mail"))
            return
        log.warning("a scan worker died over a mail of %d bytes; another one tries it", waiting.spool.size)
        (self._small if waiting.spool.size <= SMALL else self._large).appendleft(waiting)
        self._dispatch()

    def close(self) -> None:
        """Dismiss all workers; mails that still wait end as UNCHECKED."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for waiting in (*self._small, *self._large):
            if not waiting.answer.done():
                waiting.answer.set_exception(UnansweredError("shutdown", "Gatepost is stopping"))
        for worker in tuple(self._workers):
            if worker.job is not None:
                worker.job.crashes = CRASHES
            worker.channel.close()


def _pop_live(queue: deque[_Waiting]) -> _Waiting | None:
    while queue:
        waiting = queue.popleft()
        if not waiting.answer.done():
            return waiting
    return None


def _bounded(envelope: Envelope) -> Envelope:
    if len(envelope.recipients) <= RECIPIENTS:
        return envelope
    return replace(envelope, recipients=envelope.recipients[:RECIPIENTS], recipient_parameters=())


def _unchecked(name: str, detail: str) -> Verdict:
    return Verdict(findings=(Finding(Kind.UNCHECKED, name, source="gatepost", detail=detail),))
