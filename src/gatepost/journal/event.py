"""`Event`: one thing that happened, and the short id by which people name a mail.

Not its job: reading a clock or making random numbers; both are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without I, L, O and U, which are misread on the telephone."""

TIME_DIGITS = 9
RANDOM_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at` (seconds since the epoch) to `subject`: the id of a mail, or the name of a part of the site.

    `data` is made of JSON values only; what each kind carries is told in `journal.kinds`.
    """

    at: float
    kind: str
    subject: str
    data: Mapping[str, Any] = field(default_factory=dict)


def new_id(at: float, random: int) -> str:
    """An id of 14 letters and digits that sorts by time: milliseconds of `at`, then 25 bits of `random`."""
    return _digits(int(at * 1000), TIME_DIGITS) + _digits(random, RANDOM_DIGITS)


def _digits(number: int, count: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(count)))
