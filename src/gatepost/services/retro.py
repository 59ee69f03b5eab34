"""Retro-scan: mail delivered in the last days, judged again by what signatures know today.

What it does: asks lists of digests about every part of every delivered mail, and every engine about the copies that were kept; who got
bad mail is written down once for each recipient, by which the administrator hears of it.
Not its job: the core (`gatepost.mail.act.recall`), copies (`retained`), alerts and notices (`teller`).
Raises: `EngineError` when the lists cannot be read, `JournalError`, `KeeperError` and `OSError` when what was found cannot be written down.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import msgspec

from gatepost.deploy import storage
from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, Query
from gatepost.journal.states import State
from gatepost.mail.act.contents import ContentError
from gatepost.mail.act.recall import FOUND, Hit, Recalled, look
from gatepost.mail.act.record import envelope_of
from gatepost.mail.engines.hashes import Hashes
from gatepost.mail.inspect import registry
from gatepost.mail.inspect.brake import Mode, Signature
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Direction, Kind
from gatepost.services.brakes import modes
from gatepost.services.keeper import ask_once
from gatepost.services.messages import Note
from gatepost.services.rescan import RescanError, Rescanner
from gatepost.services.retained import Retained
from gatepost.site.model import Site
from gatepost.system.files import make_directory, write_atomic

log = logging.getLogger(__name__)

GOT_IT = (State.ACCEPTED, State.DELIVERED, State.RELEASED)
"""Whoever is in one of these states has the mail, or may have it by now."""

PAGE = 1000


@dataclass(slots=True)
class Outcome:
    """What a retro-scan did: mails and digests looked up, copies scanned and how many could not be, and what was found, by id of the mail."""

    mails: int = 0
    digests: int = 0
    copies: int = 0
    failed: int = 0
    found: dict[str, Recalled] = field(default_factory=dict)


def run(site: Site, now: float, *, always: bool = False) -> Outcome:
    """Judge delivered mail again; what signatures have said before is not asked again unless `always`.

    Whoever fetches signatures judges by digests, whoever may read copies judges by them; where that is one user, both at once.
    """
    state = Path(site.site.state)
    journal = storage.journal(site)
    outcome, since = Outcome(), now - site.retro.keep
    with _Memory.of(state / "signatures", lambda: _marks(site, lists=True)) as memory:
        if lists := memory.new(always=always):
            _count(outcome, _by_digest(site, journal, lists, since, outcome), journal, site)
    if site.retro.copies != "none":
        with _Memory.of(state / "retained", lambda: _marks(site, lists=False)) as memory:
            if memory.new(always=always):
                _count(outcome, _by_copy(site, journal, since, outcome), journal, site)
    return outcome


@dataclass(slots=True)
class _Memory:
    """The marks of signatures now, and those that have judged delivered mail before."""

    marks: dict[str, str]
    before: dict[str, str]

    @staticmethod
    @contextmanager
    def of(folder: Path, marks: Callable[[], dict[str, str]]) -> Iterator[_Memory]:
        """The memory kept in `folder`, for one at a time, so that nobody is told twice; written down when the block ends well.

        It is empty for a user who may not write there: somebody else is who judges.
        """
        if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK | os.X_OK):
            yield _Memory({}, {})
            return
        make_directory(folder)
        path = folder / ".retro.json"
        with (folder / ".retro.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            memory = _Memory(marks(), _remembered(path))
            yield memory
            if memory.marks != memory.before:
                write_atomic(path, msgspec.json.encode(memory.marks))

    def new(self, *, always: bool) -> list[str]:
        """The engines whose signatures have not judged yet."""
        return [name for name, mark in self.marks.items() if always or mark != self.before.get(name)]


def _marks(site: Site, *, lists: bool) -> dict[str, str]:
    """The marks of the signatures of all lists, or of all other engines, as they are now.

    An engine that does not answer has none, and judges the next time.
    """
    marks = {}
    for name, engine in site.engines.items():
        if engine.enabled and ((engine.kind or name) == "hashes") == lists:
            try:
                marks[name] = registry.make(engine.kind or name, name, engine.options).info().signatures
            except EngineError as error:
                log.warning("%s is left out of the retro-scan: %s", name, error)
    return marks


def _by_digest(site: Site, journal: Journal, lists: list[str], since: float, outcome: Outcome) -> Iterator[tuple[Event, tuple[Hit, ...]]]:
    """Mails with a part whose digest is on a list now."""
    engines = [Hashes(name, site.engines[name].options) for name in lists if site.engines[name].options]
    ignored = _ignored(journal)

    @cache
    def known(digest: str) -> tuple[str, str] | None:
        outcome.digests += 1
        found = ((one.name, name) for one in engines if (name := one.known(bytes.fromhex(digest))) is not None)
        return next((one for one in found if one not in ignored), None)

    yield from look(_counted(journal.judged(since, float("inf")), outcome), known)


def _ignored(journal: Journal) -> frozenset[Signature]:
    """Signatures that are not believed alone; a digest has no second witness."""
    return frozenset(signature for signature, mode in modes(journal).items() if mode is not Mode.TRUSTED)


def _counted(events: Iterable[Event], outcome: Outcome) -> Iterator[Event]:
    for event in events:
        outcome.mails += 1
        yield event


def _by_copy(site: Site, journal: Journal, since: float, outcome: Outcome) -> Iterator[tuple[Event, tuple[Hit, ...]]]:
    """Mails of which a copy was kept, and which an engine calls a virus now."""
    retained = Retained(site)
    kept, ignored = retained.digests(), _ignored(journal)
    with closing(Rescanner(site)) as scanner:
        for event in journal.judged(since, float("inf")):
            if event.data["digest"] not in kept:
                continue
            try:
                hits = _scan(scanner, retained.get(event.data["digest"]), event)
            except (RescanError, ContentError) as error:
                log.warning("the copy of mail %s could not be judged again: %s", event.subject, error)
                outcome.failed += 1
                continue
            outcome.copies += 1
            if certain := _certain(hits, ignored):
                yield event, certain


def _scan(scanner: Rescanner, raw: bytes, event: Event) -> tuple[Hit, ...]:
    directions = frozenset(Direction(one["direction"]) for one in event.data["recipients"])
    verdict = scanner.examine(raw, envelope_of(event), directions)
    files = {part.path: part for part in verdict.parts}
    return tuple(
        Hit(one.source, one.name, one.part, next(iter(files[one.part].names), "") if one.part in files else "", event.data["digest"])
        for one in verdict.findings
        if one.kind is Kind.VIRUS
    )


def _certain(hits: tuple[Hit, ...], ignored: frozenset[Signature]) -> tuple[Hit, ...]:
    """All hits where two engines agree or a signature that is believed is among them, otherwise none."""
    believed = any((hit.engine, hit.name) not in ignored for hit in hits) or len({hit.engine for hit in hits}) > 1
    return hits if believed else ()


def _count(outcome: Outcome, found: Iterable[tuple[Event, tuple[Hit, ...]]], journal: Journal, site: Site) -> None:
    """Have each mail that somebody got written down, for those of its recipients of whom it is not written yet."""
    for event, hits in found:
        if recalled := _recalled(event, hits, journal):
            told = _told(journal, event.subject) | set(outcome.found[event.subject].recipients if event.subject in outcome.found else ())
            new = tuple(one for one in recalled.recipients if one not in told)
            if new:
                _tell(site, event.subject, replace(recalled, recipients=new))
                outcome.found[event.subject] = recalled


def _recalled(event: Event, hits: tuple[Hit, ...], journal: Journal) -> Recalled | None:
    """A mail with those who got it, or None when nobody did."""
    rows = journal.search(Query(id=event.subject, states=GOT_IT, limit=PAGE))
    if not rows:
        return None
    return Recalled(event.data["sender"], event.data["subject"], event.at, hits, tuple(row.recipient for row in rows))


def _told(journal: Journal, identifier: str) -> set[str]:
    return {one for _, event in journal.events(subject=identifier, kind=FOUND) for one in event.data["recipients"]}


def _tell(site: Site, identifier: str, recalled: Recalled) -> None:
    ask_once(Path(site.site.run) / "keeper.sock", Note(FOUND, identifier, asdict(recalled)))


def _remembered(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
