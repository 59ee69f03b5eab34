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
import uvloop

from gatepost.deploy import storage
from gatepost.deploy.units.people import Staff
from gatepost.integrity.notify import alert
from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError
from gatepost.mail.act import receipt
from gatepost.mail.act.alert import Severity
from gatepost.mail.act.contents import ContentError, Contents
from gatepost.mail.act.deliver import succeeded
from gatepost.mail.act.quarantine import Quarantine, QuarantineError
from gatepost.mail.act.record import judged
from gatepost.mail.decide.direction import domain_of
from gatepost.mail.model import Disposition, Envelope
from gatepost.services import keys, messages, metrics
from gatepost.services.away import recorded, watch
from gatepost.services.brakes import Brakes
from gatepost.services.canary import FAILED, PASSED, has_way
from gatepost.services.certificates import CERTIFIED, Certificates
from gatepost.services.keys import KeyFileError
from gatepost.services.messages import (
    Answered,
    Beat,
    Canary,
    Delete,
    Done,
    Failed,
    Fetch,
    Foresee,
    Foreseen,
    Health,
    Introduce,
    Introduced,
    Kept,
    Look,
    Modes,
    Note,
    Numbered,
    Outcome,
    Post,
    Rates,
    Record,
    Redo,
    Release,
    Request,
    Signatures,
    Tally,
    Undo,
)
from gatepost.services.outbox import NotSentError, next_hop_of, probe, send
from gatepost.services.retained import Retained
from gatepost.services.rights import may
from gatepost.services.silences import Silences
from gatepost.services.teller import Teller
from gatepost.site.model import Site
from gatepost.system import manager
from gatepost.system.channel import AsyncChannel
from gatepost.system.sockets import listen_unix, listening

log = logging.getLogger(__name__)

HOUSEKEEPING = 3600.0
"""Seconds between two rounds of expiry."""

MISSED, GRACE = 3, 60.0
"""So many canaries may fail to come, and so many seconds more, before their silence is an alarm."""

JUMP = 600.0
"""Seconds by which the clock may go wrong against the machine's uptime before nothing is expired by it any more."""

ALIVE = 10.0
"""Seconds between two signs of life for the service manager."""

UMASK = 0o027
"""The journal may be read by the group of the keeper's files; what is secret has its own mode."""

MAIL = "mail."
"""Events of these kinds move mails; nobody but the keeper writes them."""


Longer = Release | Delete | Foresee | Post | Fetch | Undo | Redo
"""Requests that wait for a disk or a next hop, and so have a thread of their own."""


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

    def __init__(self, site: Site, staff: Staff | None = None) -> None:
        state = Path(site.site.state)
        folder = state / "keys"
        self._site = site
        self._staff = staff or {}
        self._key = keys.receipts(folder)
        self._canaries = keys.canaries(folder)
        self.journal = storage.journal(site, writes=True)
        self._contents = Contents(state / "quarantine", keys.secret(folder, "quarantine") if site.quarantine.encrypt else None)
        self._clock = _clock_against_uptime()
        self._quarantine = Quarantine(self._contents, self.journal, time.time)
        self._teller = Teller(site, state / "alerts.json", self.journal)
        self._silences = Silences(site.integrity, self.journal)
        self._brakes = Brakes(site, self.journal, state / "rates.json")
        self._retained = Retained(site)
        self._waiting: list[_Asked] = []
        self._counts: Counter[str] = Counter()
        self._beat: Beat | None = None
        self._canary: Canary | None = None
        self._tally = Tally()
        self._certificates = Certificates(reversed(self.journal.newest(CERTIFIED)))
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
        if not may(numbered.request, channel.peer.uid, self._staff):
            self._refuse(_Asked(channel, numbered, descriptor))
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._work)
        self._waiting.append(_Asked(channel, numbered, descriptor))

    @staticmethod
    def _refuse(asked: _Asked) -> None:
        """Say no to whoever may connect, but not ask for this."""
        log.error("process %d of user %d asked for %s, which it may not", *asked.channel.peer[:2], type(asked.numbered.request).__name__)
        asked.answer(Failed("this user may not ask the keeper for that; ask as root"))

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
                case Release() | Delete() | Foresee() | Post() | Fetch() | Undo() | Redo() as request:
                    self._later(asked, request)
                case Beat() as beat:
                    self._beat = beat
                    asked.answer(Modes(tuple((*signature, mode) for signature, mode in self._brakes.modes.items())))
                case Rates():
                    asked.answer(Signatures(self._brakes.hits(time.time())))
                case Look():
                    asked.answer(self._health())
                case Introduce():
                    asked.answer(Introduced(self._key.public_key().public_bytes_raw(), self._canaries))

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
        if isinstance(request, Record) and getattr(error, "reason", "") == "refused" and recorded(self.journal, request.id):
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
            self._follow(asked.numbered.request)
        return answers

    def _follow(self, request: Request) -> None:
        """What else a request brings about that is in the journal now."""
        match request:
            case Record() as record:
                self._note(record)
            case Note() as note if note.kind in {PASSED, FAILED}:
                self._sung(note)
            case Note() as note if note.kind == CERTIFIED:
                self._certificates.learn(note.data)
            case Note() as note:
                self._teller.noted(note)

    def _keep(self, record: Record, descriptor: int | None) -> bool:
        """Put the bytes of a stopped mail on the disk; whether there were any. Of delivered mail a copy, where the site wants it."""
        if not (record.keep or record.copy):
            return False
        if descriptor is None:
            raise OSError("the mail to keep did not come with its record")
        size = os.fstat(descriptor).st_size
        raw = mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b""
        if record.copy:
            self._retained.keep(memoryview(raw))
        if record.keep:
            self._quarantine.keep(memoryview(raw))
        return record.keep

    def _event(self, record: Record) -> Event:
        return judged(
            record.id,
            record.at,
            record.envelope,
            self._certificates.put(record.verdict),
            record.decisions,
            record.reply,
            kept=record.keep,
            handed_on=record.handed_on,
            cleaned=record.cleaned,
        )

    def _receipt(self, record: Record) -> str:
        verdict = self._certificates.put(record.verdict)
        return receipt.receipt(record.id, record.at, verdict, record.decisions, self._key, record.cleaned).value or ""

    def _note(self, record: Record) -> None:
        """Count, and tell whom it concerns."""
        for decision in record.decisions:
            self._counts[f"{decision.direction}.{decision.disposition}"] += 1
        self._counts["mails"] += 1
        metrics.add(self._tally, record)
        self._observe(record)
        if any(decision.disposition is not Disposition.DELIVER for decision in record.decisions):
            try:
                self._teller.stopped(record)
            except Exception:
                # The mail is recorded, so it must be answered, whatever its words do to an alert.
                log.exception("no alert for mail %s", record.id)

    def _observe(self, record: Record) -> None:
        """Count signatures, and tell the administrator of those that are not believed alone from now on."""
        try:
            for engine, name in self._brakes.observe(record):
                self._teller.warn(
                    "a signature suddenly hits much mail; it is held, not refused: gatepost signatures rates", f"{engine} {name}"
                )
        except JournalError as error:
            log.error("no signature is braked now: %s", error)  # noqa: TRY400 the reason is known

    def _sung(self, note: Note) -> None:
        """Remember what the canary showed, and tell the administrator when it is not well."""
        self._canary = Canary(time.time(), note.kind == PASSED, str(note.data.get("text", "")))
        if note.kind == FAILED:
            self._teller.warn("the canary is not well", self._canary.text, Severity.CRITICAL)

    # What takes longer.

    def _later(self, asked: _Asked, request: Longer) -> None:
        task = asyncio.get_running_loop().create_task(self._act(asked, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(self, asked: _Asked, request: Longer) -> None:
        try:
            answer = await asyncio.to_thread(self._do, request)
        except (QuarantineError, ContentError, JournalError, NotSentError, OSError) as error:
            answer = Failed(str(error))
        asked.answer(answer)

    def _do(self, request: Longer) -> messages.Answer:
        match request:
            case Release():
                self._release(request.id, request.recipient, request.by)
            case Delete():
                self._quarantine.delete(request.id, request.recipient, request.by)
            case Foresee():
                return self._foresee(request)
            case Fetch():
                return Kept(self._contents.get(request.digest))
            case Post():
                self._post(request)
            case Undo():
                return self._brakes.release((request.engine, request.name), request.by, time.time(), self._release)
            case Redo():
                self._brakes.redo((request.engine, request.name), request.by, time.time())
        return Done()

    def _release(self, identifier: str, recipient: str, by: str) -> None:
        self._quarantine.release(identifier, recipient, by, lambda envelope, data: send(self._site, envelope, data))

    def _foresee(self, request: Foresee) -> Foreseen:
        found = self._quarantine.forecast(request.id, request.recipient)
        reply = probe(self._site, found.envelope) if request.probe else None
        where = next_hop_of(self._site, found.envelope.recipients[0])
        return Foreseen(found.envelope, found.digest, found.size, found.others, where, reply)

    def _post(self, request: Post) -> None:
        """Send what the console wrote, to our own people only: whoever takes over the console must not write to the world."""
        if domain_of(request.recipient) not in self._site.mail.domains:
            raise NotSentError(f"{request.recipient} is none of our recipients")
        send(self._site, Envelope("", (request.recipient,)), request.content)

    async def keep_house(self) -> None:
        """Expire what is old and listen for what has not come, for ever."""
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            try:
                await self.listen()
                await asyncio.to_thread(self.expire)
            except (JournalError, OSError) as error:
                log.error("nothing is expired now: %s", error)  # noqa: TRY400 the reason is known

    async def listen(self) -> None:
        """Write down and tell which report or sign of life of the integrity check has not come."""
        due = await asyncio.to_thread(self._silences.due, time.time())
        if due:
            await asyncio.to_thread(self.journal.append, due, sync=True)
        for event in due:
            if told := alert(event.kind, event.subject, event.data):
                self._teller.warn(*told)

    def expire(self) -> None:
        """Expire what is old, unless the clock has jumped: then nobody knows what is."""
        jump = _clock_against_uptime() - self._clock
        if abs(jump) > JUMP:
            log.error("the clock has jumped by %.0f s; nothing is expired until it is right again or Gatepost starts again", jump)
            return
        self._quarantine.expire(self._site.quarantine.keep, self._site.quarantine.size)
        self._quarantine.sweep()
        self._retained.expire(time.time())
        self.journal.prune(time.time() - self._site.journal.keep)

    async def miss_canaries(self) -> None:
        """Tell the administrator when the canary has fallen silent, for ever."""
        told = 0.0
        while True:
            await asyncio.sleep(min(GRACE, self._site.canary.interval))
            told = self.missed(told, time.time())

    def missed(self, told: float, now: float) -> float:
        """Alarm when the canary is overdue at `now`, once for each silence; `told` and what is given back is the time it was due."""
        due = self._health().canary_due
        if not due or now <= due or due == told:
            return told
        self._teller.warn("the canary is silent", "nobody knows whether mail is scanned: gatepost doctor", Severity.CRITICAL)
        return due

    async def tell(self) -> None:
        """Send alerts when they are due, for ever."""
        await self._teller.run()

    def tell_trouble(self, trouble: str) -> None:
        """Tell the administrator that events wait on this node."""
        self._teller.warn("events wait on this node: no held mail is released until PostgreSQL is back", trouble, Severity.CRITICAL)

    def close(self) -> None:
        """Finish what waits, then let go."""
        if self._waiting:
            self._work()
        try:
            self._teller.save()
            self._brakes.save()
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
    kinds = {True: "mail.cleaned" if outcome.cleaned else "mail.delivered", False: "mail.deferred"}
    return [
        Event(
            outcome.at,
            kinds[succeeded(reply)] if reply.code < 500 else "mail.refused",  # noqa: PLR2004 RFC 5321 4.2.1
            outcome.id,
            {"recipient": recipient, "reply": f"{reply.code} {reply.status} {reply.text}"},
        )
        for recipient, reply in outcome.replies.items()
    ]


async def _serve(keeper: Keeperd, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(listener, lambda: keeper.connect(listener.accept()[0]))
    chores = [
        loop.create_task(keeper.keep_house()),
        loop.create_task(keeper.tell()),
        loop.create_task(keeper.miss_canaries()),
        loop.create_task(watch(keeper.journal, keeper.tell_trouble)),
        loop.create_task(_be_alive()),
    ]
    manager.ready()
    await stop.wait()
    loop.remove_reader(listener)
    for chore in chores:
        chore.cancel()
    keeper.close()


async def _be_alive() -> None:
    while True:
        manager.alive()
        await asyncio.sleep(ALIVE)


def run(site: Site, keep: Path | socket.socket, staff: Staff | None = None) -> None:
    """Be the keeper until SIGTERM. `keep` is where to listen, or a socket that somebody bound; `staff` are the users of the others."""
    os.umask(UMASK)
    try:
        keeper = Keeperd(site, staff)
    except (JournalError, KeyFileError, OSError) as error:
        log.critical("the keeper cannot start, no mail is taken: %s", error)
        sys.exit(1)
    uvloop.run(_serve(keeper, listen_unix(keep) if isinstance(keep, Path) else listening(keep)))
