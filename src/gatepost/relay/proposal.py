"""What importing an old file gives: proposals for the site file, and remarks.

Raises: nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.site.problem import Problem


@dataclass(frozen=True, slots=True)
class Proposal:
    """A value for the site file: dotted section ("[name]#mark" for one of several), key, value, and where it comes from."""

    section: str
    key: str
    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file said."""

    proposals: tuple[Proposal, ...]
    remarks: tuple[Problem, ...]


def not_understood(name: str, line: int, source: str) -> Problem:
    """The remark for a line that gave nothing."""
    return Problem(name, line, "", "this was not understood and is not in the proposal", "look whether you still need it", source)


def toml(proposals: Iterable[Proposal]) -> str:
    """The proposals as sections of a site file, each line with its origin; a key that two files give is there once, the other as a comment."""
    sections: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    for one in proposals:
        lines = sections.setdefault(one.section, [])
        again = (one.section, one.key) in seen
        seen.add((one.section, one.key))
        lines.append(f"{'# also: ' if again else ''}{one.key} = {json.dumps(one.value)}  # {one.origin}")
    return "\n".join(f"[{section.partition('#')[0]}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())
