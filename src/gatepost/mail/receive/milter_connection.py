"""One connection of an MTA to the milter server: mails one after another, each spooled, judged and answered.

What it does: drives a `MilterSession` as an asyncio protocol (uvloop or the standard loop), asks the `Handler` at end of message, keeps
the MTA patient while it works, and sends its answer in one write.
Not its job: the protocol (`milter_session`), the wording of answers (`milter_answer`), listening and draining (`milter_server`).
Raises: nothing. Whatever a handler raises is logged and answered with a temporary failure; a peer that breaks the protocol is cut off.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from dataclasses import dataclass, field
from typing import cast

from gatepost.mail.budget import MIB
from gatepost.mail.model import Reply
from gatepost.mail.receive.handler import Handler
from gatepost.mail.receive.milter_answer import PROGRESS, final_packets
from gatepost.mail.receive.milter_session import Abandoned, Closed, Content, EndOfMessage, Event, MilterLimits, MilterSession
from gatepost.mail.receive.milter_wire import ProtocolError, State, reply_code
from gatepost.mail.receive.spool import Spool

_log = logging.getLogger(__name__)

FAILED = Reply(451, "4.3.0", "The mail gateway could not check this message, try again later")
FULL = Reply(452, "4.3.1", "The mail gateway is out of space, try again later")
_REFUSED_POLITELY = 1.25
"""Up to so many times the limit of connections, one too many is still told that we are busy; beyond, it is closed at once."""


@dataclass(frozen=True, slots=True)
class MilterSettings:
    """Bounds of a server: connections, bytes in all spools together, seconds.

    `idle` is for an MTA that says nothing, and longer than any MTA lets its own client be silent. `progress` is how often a waiting MTA is
    told to go on waiting (Sendmail gives up after 10 s without), `answer` how long a handler may take (both MTAs give up after 300 s).
    """

    limits: MilterLimits = field(default_factory=MilterLimits)
    connections: int = 500
    spooled: int = 1024 * MIB
    idle: float = 3900.0
    progress: float = 5.0
    answer: float = 240.0


@dataclass(slots=True, eq=False)
class Pool:
    """What all connections of a server share."""

    handler: Handler
    settings: MilterSettings
    connections: set[MilterConnection] = field(default_factory=set)
    spooled: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, connection: MilterConnection) -> int:
        """Count a connection in and return how many there are."""
        self.connections.add(connection)
        self.empty.clear()
        return len(self.connections)

    def leave(self, connection: MilterConnection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        if not self.connections:
            self.empty.set()

    async def wait_empty(self) -> None:
        """Wait until the last connection has gone."""
        if self.connections:
            await self.empty.wait()


class MilterConnection(asyncio.Protocol):
    """A connection. `seen` is when the MTA last said something, in seconds of the loop's clock."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self.seen = loop.time()
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._session = MilterSession(pool.settings.limits)
        self._spool: Spool | None = None
        self._header_size = 0
        self._failure: Reply | None = None
        self._task: asyncio.Task[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._finishing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, or turn it away."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        present, limit = self._pool.enter(self), self._pool.settings.connections
        self._session.busy = present > limit
        if present > limit * _REFUSED_POLITELY:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Let go of whatever was under way; the MTA keeps the mail."""
        self._transport = None
        self._pool.leave(self)
        self._abandon()

    def pause_writing(self) -> None:
        """A peer that reads no replies gets nothing more read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take the next bytes."""
        self.seen = self._loop.time()
        try:
            events = self._session.feed(data, time.time())
        except ProtocolError as error:
            _log.warning("milter peer cut off: %s", error)
            self.cut()
            return
        self._send(self._session.take())
        for event in events:
            self._handle(event)
        if self._session.refusal is not None:
            self._drop_spool()

    def finish(self) -> None:
        """Close as soon as no mail is under way."""
        self._finishing = True
        if self._transport is not None and self._session.state in {State.OPENED, State.READY, State.CLOSED}:
            self._transport.close()

    def cut(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _handle(self, event: Event) -> None:
        match event:
            case Content(data=data):
                self._store(data)
            case EndOfMessage():
                self._end_of_message(event)
            case Abandoned():
                self._abandon()
            case Closed():
                self._abandon()
                self.finish()

    def _store(self, data: bytes | memoryview) -> None:
        if self._failure is not None:
            return
        if self._pool.spooled + len(data) > self._pool.settings.spooled:
            _log.error("the spool is full: %d bytes in %d connections", self._pool.spooled, len(self._pool.connections))
            self._fail()
            return
        try:
            if self._spool is None:
                self._spool = Spool()
                self._header_size = len(data)
            self._spool.write(data)
        except OSError:
            _log.exception("cannot spool a mail")
            self._fail()
        else:
            self._pool.spooled += len(data)

    def _fail(self) -> None:
        self._failure = FULL
        self._drop_spool()

    def _end_of_message(self, message: EndOfMessage) -> None:
        refusal = message.refusal or self._failure
        spool, self._spool, self._failure = self._spool, None, None
        if refusal is not None or spool is None:
            if spool is not None:
                self._release(spool)
            self._answer(reply_code(refusal or FAILED))
            return
        settings = self._pool.settings
        self._deadline = self._loop.time() + settings.answer
        self._task = self._loop.create_task(self._judge(message, spool, self._header_size))
        self._task.add_done_callback(functools.partial(self._judged, message, spool))
        self._timer = self._loop.call_later(settings.progress, self._remind, message)

    async def _judge(self, message: EndOfMessage, spool: Spool, header_size: int) -> bytes:
        answer = await self._pool.handler.message(message.envelope, spool)
        header = b"" if answer.body is None else bytes(spool.view()[:header_size])
        return final_packets(answer, message.addresses, self._session.options, header)

    def _judged(self, message: EndOfMessage, spool: Spool, task: asyncio.Task[bytes]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("mail %s could not be judged: %s", message.envelope.queue_id, error, exc_info=error)
        if task is self._task:
            self._stop_waiting()
            self._answer(reply_code(FAILED) if task.cancelled() or error is not None else task.result())
        self._release(spool)

    def _answer(self, packets: bytes) -> None:
        self._send(packets)
        self._session.answered()
        if self._finishing:
            self.finish()

    def _remind(self, message: EndOfMessage) -> None:
        if self._loop.time() >= self._deadline:
            _log.error("mail %s was not judged within %.0f s", message.envelope.queue_id, self._pool.settings.answer)
            self._abandon()
            self._answer(reply_code(FAILED))
            return
        self._send(PROGRESS)
        self._timer = self._loop.call_later(self._pool.settings.progress, self._remind, message)

    def _abandon(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._stop_waiting()
        self._failure = None
        self._drop_spool()

    def _stop_waiting(self) -> None:
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop_spool(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            self._release(spool)

    def _release(self, spool: Spool) -> None:
        self._pool.spooled -= spool.size
        spool.close()
