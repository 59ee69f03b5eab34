"""Why each kind of finding matters: the built-in guide, the same words on the terminal, in the console and in the documentation.

What it does: joins the pages of mail, firewall and file findings (a data file) with those of the interview's risks.
Not its job: single findings.
Raises: nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from gatepost.assess.known import RISKS, Known

ROOMS = {"mail": "Mail", "firewall": "Firewall", "integrity": "Files", "risk": "Risks"}
"""The parts of the guide."""
_PATHS = ("-forward", "-input", "-output")


@dataclass(frozen=True, slots=True)
class Why:
    """One page: why it matters, what Gatepost does by itself ("" where nothing), what to do, and where to read on."""

    room: str
    name: str
    title: str
    why: str
    do: str
    what: str = ""
    see: str = ""
    rows: str = ""

    @property
    def id(self) -> str:
        """By which it is asked for: "mail-virus"."""
        return f"{self.room}-{self.name}"


@cache
def pages() -> tuple[Why, ...]:
    """Every page, by room."""
    found = tomllib.loads((files("gatepost.report") / "why.toml").read_text(encoding="utf-8"))
    told = tuple(Why(room, name, **words) for room, rooms in found.items() for name, words in rooms.items())
    return (*told, *map(_risk, RISKS))


def _risk(known: Known) -> Why:
    return Why("risk", known.id, known.title, known.why, known.measure, rows=known.rows)


def page(name: str) -> Why | None:
    """The page with this id, or of the finding with this name: "mail-virus", "virus", "policy-input"."""
    plain = next((name.removesuffix(path) for path in _PATHS if name.endswith(path)), name)
    return next((one for one in pages() if plain in {one.id, one.name}), None)


def hint(names: Iterable[str]) -> str:
    """Where to read more about findings of these names, one line; "" when there is no page."""
    found = dict.fromkeys(one.id for name in names if (one := page(name)))
    return f"Why this matters: {', '.join(f'gatepost why {name}' for name in found)}" if found else ""


def path(one: Why) -> str:
    """The file of a page below docs/."""
    return f"why/{one.id}.md"


def text(one: Why) -> str:
    """A page in Markdown, which reads well on a terminal too."""
    parts = [f"# {one.title}", one.why]
    if one.what:
        parts += ["## What Gatepost does", one.what]
    parts += ["## What to do", one.do]
    return "\n\n".join(parts) + "\n"
