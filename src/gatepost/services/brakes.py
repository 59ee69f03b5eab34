"""Which signatures are braked, undone or trusted: the keeper's memory of it, and what follows for mail that is held.

What it does: takes the modes from the journal, which is their only place; counts what the gate recorded; finds what only one signature held.
Not its job: the rule (`gatepost.mail.inspect.brake`), how mail is released (`keeperd`).
Raises: `JournalError`; `OSError` from `save`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, Query, Row
from gatepost.journal.rows import JUDGED
from gatepost.journal.states import State
from gatepost.mail.act.contents import ContentError
from gatepost.mail.act.quarantine import QuarantineError
from gatepost.mail.act.record import findings_of
from gatepost.mail.decide.direction import Perimeter
from gatepost.mail.decide.policy import Context, decide
from gatepost.mail.inspect.brake import Mode, Rate, Rates, Signature, alone, ease, has_jumped
from gatepost.mail.model import Direction, Disposition
from gatepost.services.messages import Hits, Record, Undone
from gatepost.services.outbox import NotSentError
from gatepost.site.mail import ANTIVIRUS
from gatepost.site.model import Site
from gatepost.system.files import write_atomic

BRAKED, UNDONE, REDONE = "signatures.braked", "signatures.undone", "signatures.redone"
"""Kinds of the journal's events; the subject is the signature's name, `engine` stands in the data."""

_MODES = {BRAKED: Mode.BRAKED, UNDONE: Mode.UNDONE, REDONE: Mode.TRUSTED}
PAGE = 1000

Release = Callable[[str, str, str], None]
"""Delivers a kept mail (its id) to one recipient; the third says who decided."""


def modes(journal: Journal) -> dict[Signature, Mode]:
    """The mode of every signature that has one, as the journal tells."""
    told = sorted((number, event) for kind in _MODES for number, event in _all(journal, kind))
    return {(event.data["engine"], event.subject): _MODES[event.kind] for _, event in told}


def _all(journal: Journal, kind: str) -> Iterator[tuple[int, Event]]:
    after = 0
    while page := journal.events(kind=kind, after=after, limit=PAGE):
        yield from page
        after = page[-1][0]


class Brakes:
    """The modes and rates of one site; rates are kept in the file at `path`."""

    def __init__(self, site: Site, journal: Journal, path: Path) -> None:
        self._site = site
        self._journal = journal
        self._path = path
        self._antivirus = frozenset(name for name, engine in site.engines.items() if engine.enabled and (engine.kind or name) in ANTIVIRUS)
        self._perimeter = Perimeter.of(site)
        self._rates = _load(path)
        self.modes = modes(journal)

    def observe(self, record: Record) -> list[Signature]:
        """Count one recorded mail; the signatures that are braked from now on."""
        found = alone(record.verdict, self._antivirus, self.modes)
        self._rates.add(found, record.at, self._site.brake)
        return [one for one in found if one not in self.modes and self._brake(one, record.at)]

    def _brake(self, signature: Signature, at: float) -> bool:
        rate = self._rates.rate(signature, at, self._site.brake)
        if not has_jumped(rate, self._site.brake):
            return False
        self._set(BRAKED, signature, at, {"hits": rate.hits, "mails": rate.mails, "usual": round(rate.usual, 3)})
        return True

    def release(self, signature: Signature, by: str, at: float, release: Release) -> Undone:
        """Let a signature not count any more, and release what only it held; what cannot be released stays held."""
        self._set(UNDONE, signature, at, {"by": by})
        released, failed = 0, []
        for row in self.held(signature):
            try:
                release(row.id, row.recipient, f"undo of {signature[1]} by {by}")
                released += 1
            except (QuarantineError, ContentError, NotSentError, OSError) as error:
                failed.append(f"{row.id} for {row.recipient}: {error}")
        return Undone(released, tuple(failed), self.refused(signature))

    def redo(self, signature: Signature, by: str, at: float) -> None:
        """Let a signature count again, whatever its rate."""
        self._set(REDONE, signature, at, {"by": by})

    def _set(self, kind: str, signature: Signature, at: float, data: dict[str, object]) -> None:
        self._journal.append([Event(at, kind, signature[1], {"engine": signature[0]} | data)], sync=True)
        self.modes = self.modes | {signature: _MODES[kind]}

    def held(self, signature: Signature) -> Iterator[Row]:
        """The rows of kept mail that this signature hit, and that would be delivered to their recipient as the modes are now."""
        for row in self._rows(signature, State.QUARANTINED):
            event = next(event for _, event in self._journal.events(subject=row.id, kind=JUDGED, limit=1))
            if self._would_pass(event, row):
                yield row

    def refused(self, signature: Signature) -> int:
        """How many mails that this signature hit were refused, with a copy kept."""
        return len({row.id for row in self._rows(signature, State.REJECTED)})

    def _rows(self, signature: Signature, state: State) -> Iterator[Row]:
        before = 0
        engine, name = signature
        while page := self._journal.search(Query(finding=name, engine=engine, states=(state,), kept=True, before=before, limit=PAGE)):
            yield from page
            before = page[-1].number

    def _would_pass(self, event: Event, row: Row) -> bool:
        findings, undone = ease(findings_of(event), self.modes)
        context = Context(row.recipient, Direction(row.direction), self._perimeter.zone(event.data["client"]), undone=undone)
        return decide(findings, context, self._site.policy).disposition is Disposition.DELIVER

    def hits(self, at: float) -> tuple[Hits, ...]:
        """Every signature that stood alone lately or has a mode, the most frequent first."""
        known = dict.fromkeys((*self._rates.signatures(), *self.modes))
        rows = [(one, self._rates.rate(one, at, self._site.brake)) for one in known]
        return tuple(self._hits(*row) for row in sorted(rows, key=lambda row: (-row[1].hits, row[0])))

    def _hits(self, signature: Signature, rate: Rate) -> Hits:
        return Hits(*signature, rate.hits, rate.mails, rate.usual, self.modes.get(signature, ""))

    def save(self) -> None:
        """Put the rates on the disk."""
        write_atomic(self._path, msgspec.json.encode(self._rates))


def _load(path: Path) -> Rates:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rates)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Rates()
