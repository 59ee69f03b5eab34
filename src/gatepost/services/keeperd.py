"""The keeper: the only process that writes quarantine, journal and alerts.

What it does: takes what the front asks in groups, puts it on the disk, and answers only then. One commit serves all that came meanwhile.
Not its job: judging mail, talking to senders.
Raises: nothing while it runs; a request that cannot be done is answered with the reason, and the sender keeps the mail.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act import receipt
from gatepost.mail.act.contents import ContentError, Contents
from gatepost.mail.act.deliver import succeeded
from gatepost.mail.act.quarantine import Quarantine, QuarantineError
from gatepost.mail.act.record import judged
from gatepost.mail.model import Disposition
from gatepost.services import keys, messages, metrics
from gatepost.services.canary import FAILED, PASSED, has_way
from gatepost.services.keys import KeyFileError
from gatepost.services.messages import (
    Answered,
    Beat,
    Canary,
    Delete,
    Done,
    Failed,
    Health,
    Look,
    Note,
    Numbered,
    Outcome,
    Record,
    Release,
    Request,
    Tally,
)
from gatepost.services.outbox import NotSentError, send
from gatepost.services.teller import Teller
from gatepost.signatures.update import OLD_SIGNATURES
from gatepost.site.model import Site
from gatepost.system.channel import AsyncChannel
from gatepost.system.sockets import listen_unix

log = logging.getLogger(__name__)

HOUSEKEEPING = 3600.0
"""Seconds between two rounds of expiry."""

MISSED, GRACE = 3, 60.0
"""So many canaries may fail to come, and so many seconds more, before their silence is an alarm."""

JUMP = 600.0
"""Seconds by which the clock may go wrong against the machine's uptime before nothing is expired by it any more."""

MAIL = "mail."
"""Events of these kinds move mails; nobody but the keeper writes them."""


@dataclass(slots=True, eq=False)
class _Asked:
    channel: AsyncChannel
    numbered: Numbered
    descriptor: int | None

    def answer(self, answer: messages.Answer) -> None:
        """Answer, and let go of the mail."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        if not self.channel.closed:
            self.channel.send(messages.encode(Answered(self.numbered.number, answer)))


class Keeperd:
    """Everything that the keeper holds."""

    def __init__(self, site: Site) -> None:
        state = Path(site.site.state)
        folder = state / "keys"
        self._site = site
        self._key = keys.receipts(folder)
        self.journal = SqliteJournal(state / "journal.sqlite")
        contents = Contents(state / "quarantine", keys.secret(folder, "quarantine") if site.quarantine.encrypt else None)
        self._clock = _clock_against_uptime()
        self._quarantine = Quarantine(contents, self.journal, time.time)
        self._teller = Teller(site, state / "alerts.json", self.journal)
        self._waiting: list[_Asked] = []
        self._counts: Counter[str] = Counter()
        self._beat: Beat | None = None
        self._canary: Canary | None = None
        self._tally = Tally()
        self._started = time.time()
        self._tasks: set[asyncio.Task[None]] = set()

    # Requests.

    def connect(self, sock: socket.socket) -> None:
        """Serve one more process."""
        channel = AsyncChannel(sock, lambda payload, descriptor: self._received(channel, payload, descriptor), lambda: None)

    def _received(self, channel: AsyncChannel, payload: bytes, descriptor: int | None) -> None:
        try:
            numbered = messages.decode_request(payload)
        except msgspec.MsgspecError:
            log.exception("a request cannot be read")
            channel.close()
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._work)
        self._waiting.append(_Asked(channel, numbered, descriptor))

    def _work(self) -> None:
        """Do everything that came meanwhile as one group."""
        group, self._waiting = self._waiting, []
        written = [asked for asked in group if isinstance(asked.numbered.request, Record | Outcome | Note)]
        now = time.monotonic()
        self._dismiss([asked for asked in written if asked.numbered.until < now])
        if in_time := [asked for asked in written if asked.numbered.until >= now]:
            self._write(in_time)
        for asked in group:
            match asked.numbered.request:
                case Release() | Delete() as request:
                    self._later(asked, request)
                case Beat() as beat:
                    self._beat = beat
                    asked.answer(Done())
                case Look():
                    asked.answer(self._health())

    def _health(self) -> Health:
        canary = self._site.canary
        last = self._canary.at if self._canary else self._started
        due = last + MISSED * canary.interval + GRACE if canary.enabled and has_way(self._site) else 0.0
        return Health(self._started, dict(self._counts), self._beat, self._canary, due, self._tally)

    # Writing down what was judged.

    def _write(self, group: list[_Asked]) -> None:
        """Write a group in one commit; if one request spoils it, each alone."""
        try:
            answers = self._commit(group)
        except (JournalError, OSError) as error:
            if len(group) > 1 and not _holds_for_all(error):
                for asked in group:
                    self._write([asked])
                return
            answers = [self._unwritten(asked.numbered.request, error) for asked in group]
        for asked, answer in zip(group, answers, strict=True):
            asked.answer(answer)

    @staticmethod
    def _dismiss(late: list[_Asked]) -> None:
        """Do not write what nobody waits for: the sender was told to come again, so the journal must not say that the mail was taken."""
        for asked in late:
            log.error("a request was %.0f s too late", time.monotonic() - asked.numbered.until)
            asked.answer(Failed("the keeper came to it too late"))

    def _unwritten(self, request: Request, error: JournalError | OSError) -> Done | Failed:
        """What is answered: the reason, unless the keeper before us wrote this mail and died before its answer."""
        if isinstance(request, Record) and getattr(error, "reason", "") == "refused" and self.journal.search(Query(id=request.id, limit=1)):
            return Done(self._receipt(request))
        log.error("not written: %s", error)
        return Failed(str(error))

    def _commit(self, group: list[_Asked]) -> list[Done | Failed]:
        answers: list[Done | Failed] = []
        events: list[Event] = []
        promised = False
        with self._quarantine.lock:
            for asked in group:
                match asked.numbered.request:
                    case Record() as record:
                        promised |= self._keep(record, asked.descriptor)
                        events.append(self._event(record))
                        answers.append(Done(self._receipt(record)))
                    case Outcome() as outcome:
                        events.extend(_outcomes(outcome))
                        answers.append(Done())
                    case Note() as note if note.kind.startswith(MAIL):
                        answers.append(Failed(f"{note.kind}: what happens to a mail is written by the keeper alone"))
                    case Note() as note:
                        promised = True
                        events.append(Event(time.time(), note.kind, note.subject, note.data))
                        answers.append(Done())
            self.journal.append(events, sync=promised)
        for asked in group:
            match asked.numbered.request:
                case Record() as record:
                    self._note(record)
                case Note() as note if note.kind in {PASSED, FAILED}:
                    self._sung(note)
                case Note() as note if note.kind == OLD_SIGNATURES:
                    self._teller.warn("signatures are old", f"{note.subject} {note.data.get('text', '')}")
        return answers

    def _keep(self, record: Record, descriptor: int | None) -> bool:
        """Put the bytes of a stopped mail on the disk; whether there were any."""
        if not record.keep:
            return False
        if descriptor is None:
            raise OSError("the mail to keep did not come with its record")
        size = os.fstat(descriptor).st_size
        raw = mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b""
        self._quarantine.keep(memoryview(raw))
        return True

    def _event(self, record: Record) -> Event:
        return judged(
            record.id,
            record.at,
            record.envelope,
            record.verdict,
            record.decisions,
            record.reply,
            kept=record.keep,
            handed_on=record.handed_on,
        )

    def _receipt(self, record: Record) -> str:
        return receipt.receipt(record.id, record.at, record.verdict, record.decisions, self._key).value or ""

    def _note(self, record: Record) -> None:
        """Count, and tell whom it concerns."""
        for decision in record.decisions:
            self._counts[f"{decision.direction}.{decision.disposition}"] += 1
        self._counts["mails"] += 1
        metrics.add(self._tally, record)
        if any(decision.disposition is not Disposition.DELIVER for decision in record.decisions):
            try:
                self._teller.stopped(record)
            except Exception:
                # The mail is recorded, so it must be answered, whatever its words do to an alert.
                log.exception("no alert for mail %s", record.id)

    def _sung(self, note: Note) -> None:
        """Remember what the canary showed, and tell the administrator when it is not well."""
        self._canary = Canary(time.time(), note.kind == PASSED, str(note.data.get("text", "")))
        if note.kind == FAILED:
            self._teller.warn("the canary is not well", self._canary.text)

    # What takes longer.

    def _later(self, asked: _Asked, request: Release | Delete) -> None:
        task = asyncio.get_running_loop().create_task(self._act(asked, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(self, asked: _Asked, request: Release | Delete) -> None:
        try:
            await asyncio.to_thread(self._release if isinstance(request, Release) else self._delete, request)
        except (QuarantineError, ContentError, JournalError, NotSentError, OSError) as error:
            asked.answer(Failed(str(error)))
        else:
            asked.answer(Done())

    def _release(self, request: Release | Delete) -> None:
        self._quarantine.release(request.id, request.recipient, request.by, lambda envelope, data: send(self._site, envelope, data))

    def _delete(self, request: Release | Delete) -> None:
        self._quarantine.delete(request.id, request.recipient, request.by)

    async def keep_house(self) -> None:
        """Expire what is old, for ever."""
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            try:
                await asyncio.to_thread(self.expire)
            except (JournalError, OSError) as error:
                log.error("nothing is expired now: %s", error)  # noqa: TRY400 the reason is known

    def expire(self) -> None:
        """Expire what is old, unless the clock has jumped: then nobody knows what is."""
        jump = _clock_against_uptime() - self._clock
        if abs(jump) > JUMP:
            log.error("the clock has jumped by %.0f s; nothing is expired until it is right again or Gatepost starts again", jump)
            return
        self._quarantine.expire(self._site.quarantine.keep, self._site.quarantine.size)
        self._quarantine.sweep()
        self.journal.prune(time.time() - self._site.journal.keep)

    async def tell(self) -> None:
        """Send alerts when they are due, for ever."""
        await self._teller.run()

    def close(self) -> None:
        """Finish what waits, then let go."""
        if self._waiting:
            self._work()
        try:
            self._teller.save()
            self.journal.close()
        except (JournalError, OSError) as error:
            log.error("ended without saving everything: %s", error)  # noqa: TRY400 the reason is known


def _clock_against_uptime() -> float:
    """The time of day less the uptime (which also counts sleep): constant for as long as nobody sets the clock."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _holds_for_all(error: JournalError | OSError) -> bool:
    """Whether every other request of the group would meet the same trouble: trying each would only make all of them wait."""
    return isinstance(error, JournalError) and error.reason != "refused"


def _outcomes(outcome: Outcome) -> list[Event]:
    kinds = {True: "mail.delivered", False: "mail.deferred"}
    return [
        Event(
            outcome.at,
            kinds[succeeded(reply)] if reply.code < 500 else "mail.refused",  # noqa: PLR2004 RFC 5321 4.2.1
            outcome.id,
            {"recipient": recipient, "reply": f"{reply.code} {reply.status} {reply.text}"},
        )
        for recipient, reply in outcome.replies.items()
    ]


async def _serve(keeper: Keeperd, path: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    listener = listen_unix(path)
    loop.add_reader(listener, lambda: keeper.connect(listener.accept()[0]))
    chores = [loop.create_task(keeper.keep_house()), loop.create_task(keeper.tell())]
    await stop.wait()
    loop.remove_reader(listener)
    for chore in chores:
        chore.cancel()
    keeper.close()


def run(site: Site, path: Path) -> None:
    """Be the keeper, listening at `path`, until SIGTERM."""
    try:
        keeper = Keeperd(site)
    except (JournalError, KeyFileError, OSError) as error:
        log.critical("the keeper cannot start, no mail is taken: %s", error)
        sys.exit(1)
    asyncio.run(_serve(keeper, path))
