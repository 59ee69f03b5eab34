"""Debian version numbers (deb-version(7)): which of two is newer.

Raises: nothing.
"""

from __future__ import annotations

import re
from functools import total_ordering
from itertools import zip_longest
from typing import Final


@total_ordering
class Version:
    """A version that compares as dpkg does. Not hashable: versions that are the same can be written differently."""

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        epoch, colon, rest = text.partition(":")
        if not colon:
            epoch, rest = "0", text
        upstream, dash, revision = rest.rpartition("-")
        self._parts = (int(epoch) if epoch.isdigit() else 0, upstream if dash else rest, revision if dash else "")

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._against(other) == 0

    def __lt__(self, other: Version) -> bool:
        return self._against(other) < 0

    def _against(self, other: Version) -> int:
        """Below, at or above 0: this version is older, the same, newer."""
        mine, theirs = self._parts, other._parts
        return mine[0] - theirs[0] or _compared(mine[1], theirs[1]) or _compared(mine[2], theirs[2])


def _compared(left: str, right: str) -> int:
    """The shorter text goes on with nothing and 0, so that "1" and "1-0" are the same and "1~" is older."""
    for mine, theirs in zip_longest(_pairs(left), _pairs(right), fillvalue=_END):
        if mine != theirs:
            return 1 if mine > theirs else -1
    return 0


def _pairs(text: str) -> list[tuple[tuple[int, ...], int]]:
    """Pairs of a non-digit part and a number, as dpkg compares them: a tilde before the end, letters before all else."""
    return [((*(_order(c) for c in word), 0), int(number or 0)) for word, number in re.findall(r"(\D*)(\d*)", text)]


def _order(char: str) -> int:
    return -1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256


_END: Final = ((0,), 0)
