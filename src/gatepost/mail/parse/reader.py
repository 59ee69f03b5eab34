"""Read one mail in every plausible way.

What it does: gives every leaf of every reading of a mail within its budget, and the findings where readings cannot be exhausted.
Not its job: opening containers (`unpack`), asking engines, judging.
Raises: nothing, on any bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gatepost.mail.budget import Budget
from gatepost.mail.model import Buffer, Finding, Kind, Part
from gatepost.mail.parse import derive
from gatepost.mail.parse.header import LONGEST, Headers, frame
from gatepost.mail.parse.structure import Entity, Tree
from gatepost.mail.parse.union import Union

SOURCE = "parse"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mail holds: leaves of all readings (plain first), findings, the tree of the plain reading, whether there is only that, the header."""

    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]
    root: Entity
    plain: bool
    headers: Headers = field(repr=False)


def read(raw: Buffer, budget: Budget) -> Reading:
    """Read a mail; `raw` with CRLF or LF line ends. What the budget does not allow is named in UNCHECKED findings."""
    buffer = _readable(raw)
    tree = Tree(budget)
    root = tree.walk(buffer)
    start, end = root.header
    headers = Headers(buffer[start:end], start)
    if not tree.odd and not tree.over and not (b"\0" in buffer or b"\x0b" in buffer or derive.mixed_ends(buffer)):
        return Reading(tuple(tree.parts), (), root, plain=True, headers=headers)
    union = Union(budget, tree.parts, len(buffer))
    if tree.over.keys() <= {"depth"}:
        union.walk(buffer)
    findings = (*_unchecked(tree.over | union.over), *_ambiguous(union))
    return Reading((*tree.parts, *union.parts), findings, root, plain=False, headers=headers)


def _readable(raw: Buffer) -> bytes:
    """The mail's bytes; only the first of them when its header does not end in time, since nothing after it can be read then."""
    start = bytes(raw[: LONGEST + 1])
    if len(raw) > len(start) and frame(start, 0, len(start)).cut:
        return start
    return raw if isinstance(raw, bytes) else bytes(raw)


def _unchecked(over: dict[str, str]) -> Iterator[Finding]:
    for limit, where in over.items():
        detail = f"The mail passes the limit of {limit}; what comes after part {where or '1'} was not looked at."
        yield Finding(Kind.UNCHECKED, f"limit-{limit}", where, SOURCE, detail)


def _ambiguous(union: Union) -> Iterator[Finding]:
    for row, where in union.noticed.values():
        if not row.refuse:
            continue
        yield Finding(
            Kind.AMBIGUOUS,
            row.id,
            where,
            SOURCE,
            f"Mail readers differ here: one {row.reader}, another does not; no honest sender writes this.",
        )
