"""What a reader of a container gets and gives: the contract of every file in this room.

What it does: `Opened` is a container in work, `Member` what comes out of it, `Meter` what it may still grow.
Not its job: choosing the reader or following the members (`walk`).
Raises: `BudgetError` from spending; `UnpackError` is what a reader raises when it cannot go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

from gatepost.mail.model import Budget, Buffer, Finding, Kind, Part

SOURCE = "unpack"


class UnpackError(Exception):
    """The container cannot be read (further); the text says why, for people."""


PDF_SCRIPT = "pdf-script"
"""The reading of a script that belongs to a PDF: its viewer runs it, and nobody can start it as a file."""


@dataclass(frozen=True, slots=True)
class Member:
    """One thing found in a container. `reading` is the quirk that yields it, "" for the plain reading; `names` further names."""

    name: str
    data: Buffer
    reading: str = ""
    names: tuple[str, ...] = ()
    declared: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came out of a decoder; `error` says why it broke off, "" when it came to its end."""

    data: bytes
    error: str = ""


class Meter:
    """Bytes that came out of one container and of everything in it, against its packed size."""

    __slots__ = ("budget", "packed", "parent", "path", "unpacked")

    def __init__(self, budget: Budget, packed: int, path: str, parent: Meter | None = None) -> None:
        self.budget = budget
        self.packed = packed
        self.path = path
        self.parent = parent
        self.unpacked = 0

    def spend(self, size: int) -> None:
        """Account for `size` unpacked bytes here and in every container around. Raises BudgetError."""
        self.budget.content(size, self.path)
        meter: Meter | None = self
        while meter is not None:
            meter.unpacked += size
            self.budget.expansion(meter.packed, meter.unpacked, self.path)
            meter = meter.parent

    def within(self, other: Meter) -> bool:
        """Whether this container came out of that one."""
        meter = self.parent
        while meter is not None and meter is not other:
            meter = meter.parent
        return meter is other


@dataclass(slots=True)
class Opened:
    """A container in work: its part, all its bytes, where in them it begins, and where to leave findings."""

    part: Part
    data: bytes
    offset: int
    meter: Meter
    budget: Budget
    passwords: tuple[str, ...]
    findings: list[Finding]
    parts: Callable[[Buffer, Budget], object] | None = None
    found: set[tuple[Kind, str]] = field(default_factory=set)

    @property
    def body(self) -> memoryview:
        """The bytes from where the container begins."""
        return memoryview(self.data)[self.offset :]

    def find(self, kind: Kind, name: str, detail: str) -> None:
        """Leave a finding on this container, each name once."""
        if (kind, name) not in self.found:
            self.found.add((kind, name))
            self.findings.append(Finding(kind, name, self.part.path, SOURCE, detail))

    def gather(self, chunks: Iterable[Buffer]) -> Gathered:
        """Join chunks, spending as they come; keeps what came before the chunks broke off. Raises BudgetError before memory is used up."""
        out = BytesIO()
        try:
            for chunk in chunks:
                self.meter.spend(len(chunk))
                self.budget.time(self.part.path)
                out.write(chunk)
        except UnpackError as error:
            return Gathered(out.getvalue(), str(error))
        return Gathered(out.getvalue())

    def gather_or_find(self, chunks: Iterable[Buffer]) -> bytes:
        """Like `gather`, with an UNCHECKED finding when the chunks broke off."""
        gathered = self.gather(chunks)
        if gathered.error:
            self.find(Kind.UNCHECKED, "damaged", gathered.error)
        return gathered.data


Reader = Callable[[Opened], Iterator[Member]]
