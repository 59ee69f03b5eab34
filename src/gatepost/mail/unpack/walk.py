"""The walk through everything that a mail holds: each part is named by content, opened if it can be, and so on down.

What it does: fills `Part.type`, adds every member found by any reader, and says what could not be looked at.
Not its job: reading containers (`readers` lists who does), reading a mail again (`read_message` is handed in), judging.
Raises: nothing, on any bytes. A limit that is passed is an UNCHECKED finding which names what was not looked at.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gatepost.mail.model import Budget, BudgetError, Buffer, Finding, Kind, Part
from gatepost.mail.unpack.filetype import Sight, category, is_text, sights
from gatepost.mail.unpack.magic import Category
from gatepost.mail.unpack.opened import SOURCE, Member, Meter, Opened, UnpackError
from gatepost.mail.unpack.passwords import MOST, candidates
from gatepost.mail.unpack.readers import READERS

_FATAL = frozenset({"parts", "bytes", "cpu", "wall"})
_CLOSED = frozenset({Category.ARCHIVE, Category.DISK})
_READ_AGAIN = frozenset({"mail", "mbox", "encoded-text"})
_NAMED_ONLY = (".br", ".brotli")
_NAMED_MOST = 8
_HINT_LONGEST, _HINTS_MOST, _HINTED_MOST = 4096, 20, 20


class Reading(Protocol):
    """What reading a mail gives: its parts and what was found odd."""

    @property
    def parts(self) -> Sequence[Part]:
        """Its parts."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What was found odd."""
        ...


ReadMessage = Callable[[Buffer, Budget], Reading]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """All parts with their types, given ones first, and what was found on the way."""

    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Item:
    part: Part
    meter: Meter
    derived: bool = False


def walk(parts: Iterable[Part], budget: Budget, read_message: ReadMessage, passwords: Sequence[str] = ()) -> Unpacked:
    """Open everything in `parts`, breadth first. `passwords` are tried on what is encrypted, likeliest first."""
    return _Walk(budget, read_message, tuple(passwords)).run(tuple(parts))


class _Walk:
    """One mail in work."""

    def __init__(self, budget: Budget, read_message: ReadMessage, passwords: tuple[str, ...]) -> None:
        self.budget = budget
        self.read_message = read_message
        self.passwords = passwords
        self.done: list[Part] = []
        self.findings: list[Finding] = []
        self.queue: deque[_Item] = deque()
        self.opened: dict[bytes, Meter] = {}
        self.read_already: frozenset[str] = frozenset()
        self.hints: list[str] = []

    def run(self, parts: tuple[Part, ...]) -> Unpacked:
        self.read_already = frozenset(path.rpartition(".")[0] for path in (part.path for part in parts) if "." in path)
        for part in parts:
            self.queue.append(_Item(part, Meter(self.budget, len(part.data), part.path), derived=bool(part.reading)))
        while self.queue:
            item = self.queue.popleft()
            try:
                self._look(item)
            except BudgetError as error:
                self._over(item.part, error)
                if error.limit in _FATAL:
                    break
        return Unpacked(tuple(self.done) + tuple(item.part for item in self.queue), tuple(self.findings))

    def _look(self, item: _Item) -> None:
        """Name one part and open every container in it."""
        data = item.part.data if isinstance(item.part.data, bytes) else bytes(item.part.data)
        seen = sights(data)
        part = replace(item.part, type=seen[0].type)
        self.done.append(part)
        if part.type == "data" and any(name.lower().endswith(_NAMED_ONLY) for name in part.names):
            self._find(Kind.UNCHECKED, "format-brotli", part.path, "nothing here opens Brotli files, which only their names tell")
        for sight in seen:
            if sight.type in _READ_AGAIN and self._worth_reading(item, data):
                self._again(part, data, sight.type)
            self._open(part, data, sight, item.meter)

    def _open(self, part: Part, data: bytes, sight: Sight, meter: Meter) -> None:
        readers = READERS.get(sight.type, ())
        if not readers:
            if category(sight.type) in _CLOSED and not sight.offset:
                self._find(Kind.UNCHECKED, f"format-{sight.type}", part.path, f"nothing here opens files of the type {sight.type}")
            return
        earlier = self._earlier(memoryview(data)[sight.offset :], sight.type, meter)
        if earlier is not None:
            if meter.within(earlier) and category(sight.type) in _CLOSED:
                self._find(Kind.UNCHECKED, "holds-itself", part.path, f"{sight.type} that came out of itself and can be opened without end")
            return
        for read in readers:
            opened = Opened(part, data, sight.offset, meter, self.budget, self._known_passwords(), self.findings)
            try:
                for member in read(opened):
                    self._add(part, member, meter)
            except UnpackError as error:
                opened.find(Kind.UNCHECKED, "damaged", f"{sight.type}: {error}")

    def _add(self, parent: Part, member: Member, meter: Meter) -> None:
        path = f"{parent.path}!{member.name}"
        self.budget.part(parent.depth + 1, path)
        part = Part(
            path,
            member.data,
            (member.name, *member.names),
            member.declared,
            reading=member.reading or parent.reading,
            disposition=parent.disposition,
            depth=parent.depth + 1,
        )
        self._hint(part)
        self.queue.append(_Item(part, Meter(self.budget, len(member.data), path, meter)))

    def _hint(self, part: Part) -> None:
        """Remember a short text that came out of something, for it may name the password of what came with it."""
        data = bytes(part.data) if len(part.data) <= _HINT_LONGEST else b""
        if data and len(self.hints) < _HINTS_MOST and data[:1] != b"<" and is_text(data):
            self.hints.append(data.decode("utf-8", "replace"))

    def _known_passwords(self) -> tuple[str, ...]:
        """The passwords given, with those that texts inside have named since."""
        if self.hints:
            self.passwords = tuple(dict.fromkeys((*candidates(self.hints)[:_HINTED_MOST], *self.passwords)))[:MOST]
            self.hints.clear()
        return self.passwords

    def _earlier(self, data: Buffer, use: str, meter: Meter) -> Meter | None:
        """The meter under which these bytes were put to this use before, if they were; copies of a container are opened once."""
        digest = hashlib.sha256(data).digest() + use.encode()
        earlier = self.opened.get(digest)
        self.opened.setdefault(digest, meter)
        return earlier

    def _worth_reading(self, item: _Item, data: bytes) -> bool:
        """Whether something that looks like a mail is to be read as one: not what the reader of mails itself made of a mail it read."""
        part = item.part
        if part.path in self.read_already or (item.derived and not part.names):
            return False
        letter = not part.names and part.declared in {"text/plain", ""} and "!" not in part.path
        if letter and (b"\nContent-" not in data[:4096] or item.part.type == "encoded-text"):
            return False
        return self._earlier(data, "read", item.meter) is None

    def _again(self, part: Part, data: bytes, kind: str) -> None:
        """Read a mail inside as a mail."""
        whole = b"\r\n" + data if kind == "encoded-text" else data
        for number, message in enumerate(_messages(data) if kind == "mbox" else (whole,), 1):
            reading = self.read_message(message, self.budget)
            base = f"{part.path}!{number}" if kind == "mbox" else part.path
            self.findings += [replace(found, part=f"{base}!{found.part}") for found in reading.findings]
            for sub in reading.parts:
                moved = replace(sub, path=f"{base}!{sub.path}", depth=part.depth + 1 + sub.depth, reading=sub.reading or part.reading)
                self.budget.part(moved.depth, moved.path)
                self._hint(moved)
                self.queue.append(_Item(moved, Meter(self.budget, len(sub.data), moved.path), derived=bool(sub.reading)))

    def _over(self, part: Part, error: BudgetError) -> None:
        """Say what a passed limit leaves unseen."""
        missed = [error.where or part.path]
        if error.limit in _FATAL:
            missed += [item.part.path for item in self.queue]
        more = f" and {len(missed) - _NAMED_MOST} more" if len(missed) > _NAMED_MOST else ""
        self._find(
            Kind.UNCHECKED,
            f"limit-{error.limit}",
            part.path,
            f"over the limit of {error.limit}; not looked at: {', '.join(missed[:_NAMED_MOST])}{more}",
        )

    def _find(self, kind: Kind, name: str, path: str, detail: str) -> None:
        self.findings.append(Finding(kind, name, path, SOURCE, detail))


def _messages(data: bytes) -> Iterator[bytes]:
    """The mails of an mbox file, without their separator lines (RFC 4155)."""
    starts = [0]
    at = data.find(b"\nFrom ")
    while at >= 0:
        starts.append(at + 1)
        at = data.find(b"\nFrom ", at + 1)
    for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
        line_end = data.find(b"\n", start, stop)
        if line_end >= 0:
            yield data[line_end + 1 : stop]
