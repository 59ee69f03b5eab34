"""Which entries a ZIP file could be said to have, by any reader.

What it does: brings local headers and directory records together into entries, and names every disagreement.
Not its job: decoding entries (`zip`), parsing records (`zip_records`).
Raises: nothing.

Readers differ in which end record they believe, in whether they trust the directory or the local headers, and in where offsets count
from (USENIX Security 2025, "My ZIP isn't your ZIP"); so every local header that some reader could reach is an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gatepost.mail.unpack.zip_records import AES_METHOD, STREAMED, End, Record, central_at, end_at, fields, local_at, places
from gatepost.mail.unpack.zip_records import CENTRAL as CENTRAL_SIGNATURE
from gatepost.mail.unpack.zip_records import END as END_SIGNATURE
from gatepost.mail.unpack.zip_records import LOCAL as LOCAL_SIGNATURE

_LONGEST_NAME = 1024
_END_SIZE = 22
KNOWN_METHODS = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 16, 18, 19, 20, 93, 94, 95, 96, 97, 98, AES_METHOD})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its local header (None when there is none where the directory points), and the directory records that point to it."""

    local: Record | None
    centrals: tuple[Record, ...] = ()
    hidden: bool = False

    @property
    def records(self) -> tuple[Record, ...]:
        """Every record of it, the directory's first."""
        return (*self.centrals, self.local) if self.local else self.centrals

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that any record gives it."""
        return tuple(dict.fromkeys(name for record in self.records for name in record.names))

    def quirks(self) -> Iterator[tuple[str, str]]:
        """Every disagreement between its records: a finding's name and a sentence."""
        if self.hidden:
            yield "zip-hidden-entry", f"'{self.names[0]}' is not in the directory"
        if self.local is None:
            yield "zip-missing-entry", f"the directory names '{self.names[0]}', which is not where it points"
            return
        for central in self.centrals:
            yield from _disagreements(self.local, central)


def _disagreements(local: Record, central: Record) -> Iterator[tuple[str, str]]:
    name = central.names[0]
    if local.name.replace(b"\\", b"/") != central.name.replace(b"\\", b"/"):
        yield "zip-names-differ", f"'{name}' is called '{local.names[0]}' in its local header"
    if local.method != central.method:
        yield "zip-methods-differ", f"'{name}' has two compression methods"
    if local.encrypted != central.encrypted:
        yield "zip-encryption-differs", f"'{name}' is encrypted by one header only"
    streamed = local.flags & STREAMED
    if (local.packed, local.size) != (central.packed, central.size) and not (streamed and local.packed in {0, central.packed, 0xFFFFFFFF}):
        yield "zip-sizes-differ", f"'{name}' has two sizes"


@dataclass(slots=True)
class Layout:
    """The entries of the directory that most readers believe, and how to find all others once it is known which bytes those take."""

    data: bytes
    tick: Callable[[], None]
    main: list[Entry]
    quirks: list[tuple[str, str]]
    ends: list[End]
    _others: dict[int, list[Record]]

    @property
    def stop(self) -> int:
        """Where the last end record ends; its comment, if it has one, comes after that. The end of the data when there is no such record."""
        at = self.data.rfind(END_SIGNATURE)
        return at + _END_SIZE if at >= 0 else len(self.data)

    def hidden(self, taken: Callable[[int], bool]) -> Iterator[Entry]:
        """Entries outside the bytes for which `taken` says yes, in order; asked while it goes, since each entry takes bytes too."""
        known = {entry.local.at for entry in self.main if entry.local}
        for at in places(self.data, LOCAL_SIGNATURE):
            self.tick()
            if at in known or taken(at):
                continue
            record = local_at(self.data, at)
            if record and plausible(record, len(self.data)):
                yield Entry(record, tuple(self._others.get(at, ())), hidden=True)


def plausible(record: Record, size: int) -> bool:
    """Whether four bytes of signature are followed by what could be a local header: programs contain the signature as a constant."""
    return (
        record.start <= size
        and record.method in KNOWN_METHODS
        and len(record.name) <= _LONGEST_NAME
        and not record.flags & 0xD000
        and (not record.extra or _sound(record.extra))
    )


def _sound(extra: bytes) -> bool:
    return sum(4 + len(body) for _, body in fields(extra)) <= len(extra)


def layout(data: bytes, tick: Callable[[], None]) -> Layout:
    """Find the main directory and its entries; `tick` is called in loops whose length the sender chooses."""
    ends = [end for at in places(data, END_SIGNATURE) if (end := end_at(data, at))]
    end = next((end for end in reversed(ends) if _leads_somewhere(data, end)), None)
    quirks: list[tuple[str, str]] = []
    if end is None:
        quirks.append(("zip-no-directory", "there is no directory that an end record points to"))
        records: list[Record] = []
    else:
        records = list(_directory(data, end, tick))
        if len(records) & 0xFFFF != end.count & 0xFFFF:
            quirks.append(("zip-entry-count", f"the end record counts {end.count} entries, the directory has {len(records)}"))
    shifts = tuple(dict.fromkeys([end.shift if end else 0, 0, *(e.shift for e in ends[-16:])]))
    main = _entries(data, records, shifts, tick)
    return Layout(data, tick, main, quirks, ends, _other_records(data, records, ends, shifts, tick))


def _start(data: bytes, end: End) -> int:
    """Where the directory of an end record begins; -1 when it is not found by any rule."""
    for at in (end.at - end.size, end.offset):
        if data[at : at + 4] == CENTRAL_SIGNATURE if at >= 0 else False:
            return at
    return -1


def _leads_somewhere(data: bytes, end: End) -> bool:
    return (not end.count and not end.size) or _start(data, end) >= 0


def _directory(data: bytes, end: End, tick: Callable[[], None]) -> Iterator[Record]:
    at = _start(data, end)
    record = central_at(data, at)
    while record:
        tick()
        yield record
        record = central_at(data, record.end)


def _entries(data: bytes, records: list[Record], shifts: tuple[int, ...], tick: Callable[[], None]) -> list[Entry]:
    pointing: dict[int, list[Record]] = {}
    missing = []
    for record in records:
        tick()
        at = _resolve(data, record, shifts)
        if at < 0:
            missing.append(Entry(None, (record,)))
        else:
            pointing.setdefault(at, []).append(record)
    return [Entry(local_at(data, at), tuple(some)) for at, some in pointing.items()] + missing


def _resolve(data: bytes, record: Record, shifts: tuple[int, ...]) -> int:
    """The place of the local header that a directory record means; a place with the same name is better than one without."""
    places_ = [at for shift in shifts if data[(at := record.start + shift) : at + 4] == LOCAL_SIGNATURE and at >= 0]
    same = (at for at in places_ if data[at + 30 : at + 30 + len(record.name)] == record.name)
    return next(same, places_[0] if places_ else -1)


def _other_records(
    data: bytes, main: list[Record], ends: list[End], shifts: tuple[int, ...], tick: Callable[[], None]
) -> dict[int, list[Record]]:
    """Directory records outside the main directory, by the local header they mean."""
    known = {record.at for record in main}
    found: dict[int, list[Record]] = {}
    for at in places(data, CENTRAL_SIGNATURE):
        tick()
        record = None if at in known else central_at(data, at)
        if record is None:
            continue
        own = next((end.shift for end in ends if end.at > at), 0)
        place = _resolve(data, record, (own, *shifts))
        if place >= 0:
            found.setdefault(place, []).append(record)
    return found
