"""The keeper as the other processes see it: ask, and wait for its answer.

What it does: numbers requests, finds their answers, connects again when the keeper was restarted and asks what was unanswered again.
Asking twice does no harm: a mail is recorded under its id once.
Not its job: what the keeper does (`keeperd`).
Raises: `KeeperError` when it does not answer in time or says that it could not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gatepost.services import messages
from gatepost.services.messages import Answer, Failed, Given, Introduce, Introduced, Numbered, Request
from gatepost.system.channel import AsyncChannel, Channel
from gatepost.system.sockets import connected

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds to wait for an answer; a restart of the keeper fits into them."""

SHARE = 0.6
"""The part of our patience in which the keeper must begin; the rest is for its disk and a lock on the journal (5 s)."""

PAUSE = 0.1
"""Seconds between two attempts to connect."""


class KeeperError(Exception):
    """The keeper did not do it; nothing may be promised to anybody."""


@dataclass(slots=True, eq=False)
class _Asked:
    payload: bytes
    descriptor: int | None
    answer: asyncio.Future[Answer]


class Keeper:
    """A connection to the keeper on an event loop."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._channel: AsyncChannel | None = None
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._connecting: asyncio.Task[None] | None = None

    async def ask(self, request: Request, descriptor: int | None = None) -> Given:
        """Ask, with a descriptor if the request has one; it may be closed when this returns. Raises KeeperError."""
        self._number += 1
        number = self._number
        until = time.monotonic() + SHARE * self._patience
        asked = _Asked(messages.encode(Numbered(number, request, until)), descriptor, asyncio.get_running_loop().create_future())
        self._asked[number] = asked
        try:
            self._send(asked)
            answer = await asyncio.wait_for(asked.answer, self._patience)
        except TimeoutError:
            raise KeeperError(f"the keeper did not answer within {self._patience:.0f} s") from None
        finally:
            self._asked.pop(number, None)
        if isinstance(answer, Failed):
            raise KeeperError(answer.why)
        return answer

    def _send(self, asked: _Asked) -> None:
        if self._channel is not None:
            self._pass_on(asked)
        elif self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def _pass_on(self, asked: _Asked) -> None:
        """Put a question on the wire; whoever asks hears when the descriptor for its mail cannot be had."""
        try:
            if self._channel is not None:
                self._channel.send(asked.payload, asked.descriptor)
        except OSError as error:
            if not asked.answer.done():
                asked.answer.set_result(Failed(f"the mail cannot be handed to the keeper: {error.strerror}"))

    async def _connect(self) -> None:
        """Connect as soon as the keeper listens, then ask everything that has no answer yet."""
        while self._channel is None:
            try:
                self._channel = AsyncChannel(connected(self._path), self._received, self._lost)
            except OSError:
                await asyncio.sleep(PAUSE)
        self._connecting = None
        for asked in tuple(self._asked.values()):
            self._pass_on(asked)

    def _received(self, payload: bytes, descriptor: int | None) -> None:
        if descriptor is not None:
            os.close(descriptor)
        try:
            answered = messages.decode_answer(payload)
        except msgspec.MsgspecError:
            log.exception("the keeper's answer cannot be read")
            return
        asked = self._asked.get(answered.number)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(answered.answer)

    def _lost(self) -> None:
        self._channel = None
        if self._asked and self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def close(self) -> None:
        """Hang up."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._channel is not None:
            self._channel.close()


def introduced(path: Path) -> Introduced:
    """What tells ours from forged, as soon as the keeper is there to say it."""
    while True:
        try:
            given = ask_once(path, Introduce())
        except (KeeperError, OSError) as error:
            log.debug("the keeper does not introduce itself yet: %s", error)
            time.sleep(PAUSE)
        else:
            assert isinstance(given, Introduced)
            return given


def ask_once(path: Path, request: Request) -> Given:
    """Ask one question without an event loop, for the command line. Raises KeeperError, OSError when no keeper listens."""
    sock = connected(path)
    sock.settimeout(PATIENCE * 3)
    channel = Channel(sock)
    try:
        channel.send(messages.encode(Numbered(1, request)))
        frame = channel.receive()
    except TimeoutError:
        raise KeeperError("the keeper did not answer in time") from None
    finally:
        channel.close()
    if frame is None:
        raise KeeperError("the keeper hung up")
    answer = messages.decode_answer(frame[0]).answer
    if isinstance(answer, Failed):
        raise KeeperError(answer.why)
    return answer
