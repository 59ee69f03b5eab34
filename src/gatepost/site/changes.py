"""What has changed in the form of the site file, as a table: what `gatepost site upgrade` does to an older file.

An older file is known by its keys, not by a number in it: a number would have to be kept right by hand. So a key that was given up must
never come back with another meaning.
Not its job: editing the file (`upgrade`), saying that it is old (`load`).
Raises: nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from gatepost.site.lines import Path
from gatepost.site.mail import KindName

ANY = "*"
"""Stands for any step of a path: a name, or a number in a list."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key that is written differently since the release `since`, and why.

    With `to` it is called that; with `rewrite` its value is written so; with neither it is gone. `old` tells an old value from a new one where
    the key stays. A change is about keys with a value; a whole table that moves needs a kind of its own.
    """

    since: str
    path: tuple[str, ...]
    why: str
    to: str = ""
    rewrite: Callable[[object], str] | None = None
    old: type = object

    def meets(self, path: Path, value: object) -> bool:
        """Whether this key with this value is of the older form."""
        alike = len(path) == len(self.path) and all(mine in (ANY, step) for mine, step in zip(self.path, path, strict=True))
        return alike and isinstance(value, self.old)


def _by_kind(interval: object) -> str:
    """One interval for everything as one for each kind of finding; none at all where it was "0d", which said: never."""
    if re.fullmatch(r"[0.]+[smhdw]", str(interval)):
        return "{}"
    written = json.dumps(interval, ensure_ascii=False)
    return "{ " + ", ".join(f"{kind} = {written}" for kind in get_args(KindName)) + " }"


CHANGES = (
    Change(
        "0.1.0",
        ("publish", ANY, "address"),
        "a published service may have several addresses, of both families",
        to="addresses",
    ),
    Change(
        "0.1.0",
        ("console", "digest"),
        "how often people are told depends on the kind of finding; written out, every kind is told as before",
        rewrite=_by_kind,
        old=str,
    ),
    Change(
        "0.1.0",
        ("mail", "smtp", "mode"),
        "it did nothing: the SMTP filter is a proxy and a content filter alike, as the MTA calls it",
    ),
)
"""All of them, oldest first."""


def changed(path: Path, value: object) -> Change | None:
    """The change that a key of an older file is about."""
    return next((one for one in CHANGES if one.meets(path, value)), None)
