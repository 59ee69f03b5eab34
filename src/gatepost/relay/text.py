"""Configuration text in which each line says why it is there.

Not its job: any MTA's settings.
Raises: nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 118
HEAD = "Written by gatepost relay compile from the site file. Change the site file, not this: changes here are found and shown as drift."


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a configuration with the reason for it; a line without text heads a section."""

    text: str
    reason: str


def comment(reason: str, mark: str = "#") -> str:
    """The reason as comment lines."""
    return textwrap.fill(reason, WIDTH, initial_indent=f"{mark} ", subsequent_indent=f"{mark} ", break_on_hyphens=False)


def section(title: str) -> Line:
    """The head of a section."""
    return Line("", title)


def render(lines: Iterable[Line], mark: str = "#") -> str:
    """All lines as text, each under its reason; the same reason in a row is said once."""
    out, last = [comment(HEAD, mark)], ""
    for line in lines:
        if not line.text:
            out.append(f"\n{mark} ---- {line.reason} {'-' * max(0, WIDTH - len(line.reason) - 8)}")
        else:
            out.append(line.text if line.reason == last else f"{comment(line.reason, mark)}\n{line.text}")
        last = line.reason
    return "\n".join(out) + "\n"
