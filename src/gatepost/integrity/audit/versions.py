"""Debian version numbers (deb-version(7)): which of two is newer.

Raises: nothing.
"""

from __future__ import annotations

import re
from functools import total_ordering


@total_ordering
class Version:
    """A version that compares as dpkg does."""

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        epoch, colon, rest = text.partition(":")
        if not colon:
            epoch, rest = "0", text
        upstream, dash, revision = rest.rpartition("-")
        self._parts = (int(epoch) if epoch.isdigit() else 0, upstream if dash else rest, revision if dash else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        epoch, upstream, revision = self._parts
        return epoch, _ordered(upstream), _ordered(revision)


def _ordered(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Pairs of a non-digit part and a number, as dpkg compares them: a tilde before the end, letters before all else."""
    pairs = re.findall(r"(\D*)(\d*)", text)
    return tuple(((*(_order(c) for c in word), 0), int(number or 0)) for word, number in pairs)


def _order(char: str) -> int:
    return -1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256
