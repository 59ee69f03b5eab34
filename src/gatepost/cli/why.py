"""`gatepost why`: the built-in guide, a page for each kind of finding."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Annotated

import typer

from gatepost.cli.common import fail
from gatepost.report.why import ROOMS, page, pages, text

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def why(name: Annotated[str, typer.Argument(metavar="[FINDING]", help="What was found: virus, unchecked, wide, leftovers.")] = "") -> None:
    """Say why a kind of finding matters and what to do; without a name, list all.

    Example:

        gatepost why unchecked
    """
    if not name:
        for room, title in ROOMS.items():
            print(f"\n{title}")
            print("\n".join(f"  {one.id:<32} {one.title}" for one in pages() if one.room == room))
        return
    found = page(name.lower())
    if found is None:
        near = get_close_matches(name.lower(), [word for one in pages() for word in (one.id, one.name)], 1)
        fail(f"there is no page about {name!r}; " + (f"did you mean {near[0]!r}?" if near else "gatepost why lists all"))
    sys.stdout.write(text(found))
