"""Read one mail in every plausible way.

What it does: gives every leaf of every reading of a mail within its budget, and the findings where readings cannot be exhausted.
Not its job: opening containers (`unpack`), asking engines, judging.
Raises: nothing, on any bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.mail.budget import Budget
from gatepost.mail.model import Buffer, Finding, Kind, Part
from gatepost.mail.parse.header import Headers
from gatepost.mail.parse.structure import Entity, Tree

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
    buffer = raw if isinstance(raw, bytes) else bytes(raw)
    tree = Tree(budget)
    root = tree.walk(buffer)
    findings = tuple(
        Finding(
            Kind.UNCHECKED,
            f"limit-{limit}",
            where,
            SOURCE,
            f"The mail passes the limit of {limit}; what comes after part {where or '1'} was not looked at.",
        )
        for limit, where in tree.over.items()
    )
    start, end = root.header
    return Reading(tuple(tree.parts), findings, root, not tree.odd and not findings, Headers(buffer[start:end], start))
