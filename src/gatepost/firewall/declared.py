"""The policy that a site file declares, with every mistake told by file and line.

Not its job: judging the declaration (`declare`), compiling it.
Raises: `SiteError` for a file that cannot be read, and for whatever is wrong in it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from gatepost.firewall.declare import DeclarationError, Policy, declare
from gatepost.site.lines import line_index, line_of
from gatepost.site.load import dotted, load
from gatepost.site.problem import Problem, SiteError


def read_policy(path: Path, today: dt.date | None = None) -> Policy:
    """Read a site file and resolve its network; `today` decides what has expired (None: the machine's date)."""
    site = load(path)
    try:
        return declare(site, today or dt.datetime.now(tz=dt.UTC).date())
    except DeclarationError as error:
        text = path.read_text(encoding="utf-8")
        lines, rows = line_index(text), text.splitlines()
        places = [(line_of(lines, where), where, what, remedy) for where, what, remedy in error.problems]
        raise SiteError(
            Problem(str(path), line, dotted(where), what, remedy, rows[line - 1]) for line, where, what, remedy in places
        ) from None
