"""What is wrong with a site file, told so that it can be mended without reading the manual.

Not its job: finding problems (`load`, `check`, `aliases`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (`line` from 1, `key` dotted), what, what to do, and the line as written."""

    file: str
    line: int
    key: str
    what: str
    remedy: str = ""
    source: str = ""

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}: {self.key}: {self.what}" if self.key else f"{self.file}:{self.line}: {self.what}"
        excerpt = f"\n{self.line:5} | {self.source}" if self.source else ""
        return head + excerpt + (f"\n      = {self.remedy}" if self.remedy else "")


class SiteError(Exception):
    """The site file cannot be used. `problems` are all that were found, in the order of their lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda problem: (problem.file, problem.line, problem.key, problem.what)))
        super().__init__("\n\n".join(str(problem) for problem in self.problems))


def nearest(name: str, valid: Iterable[str], otherwise: str = "valid are") -> str:
    """The remedy for a name that nobody knows: the nearest valid one, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"{otherwise}: {', '.join(names)}" if names else "there is none to choose from"
