"""The canary: a deliberate false alarm in every run, with a value that nobody could have known before.

Before a check a fresh nonce is written to a watched file; the check must then find exactly this change. A report without it, with a
former nonce or with another value is forged or broken. Pure: the file is written by `check`, the digest comes from the walk.
Raises: nothing.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from gatepost.integrity.examine import ALGORITHMS

PREFIX: Final = "gatepost canary "
RULE: Final = "Canary"


class Song(enum.StrEnum):
    """What the canary says. Everything but ALIVE means that the report is forged or the check is broken."""

    ALIVE = "alive"
    MISSING = "missing"
    OLD = "old"
    WRONG = "wrong"


class Canary(msgspec.Struct, frozen=True):
    """The canary of one run: where it sits, its nonce, the nonce before, and the digest (hex) that the walk saw ("" nothing)."""

    path: str
    nonce: str
    former: str
    seen: str
    algorithm: str

    @property
    def song(self) -> Song:
        """What the run proves."""
        if not self.seen:
            return Song.MISSING
        if self.seen == expected(self.nonce, self.algorithm):
            return Song.ALIVE
        return Song.OLD if self.former and self.seen == expected(self.former, self.algorithm) else Song.WRONG


MEANING: Final = {
    Song.ALIVE: "the planted change was found with its fresh value: the check really looked",
    Song.MISSING: "the planted change was not found: the check did not look, or the report is forged",
    Song.OLD: "the check saw the value of a former run: an old result was shown again, or the file was put back",
    Song.WRONG: "the check saw a value that was never written: somebody changes what the check sees",
}


def content(nonce: str) -> bytes:
    """What the canary file holds."""
    return f"{PREFIX}{nonce}\n".encode("ascii")


def nonce_of(data: bytes) -> str:
    """The nonce in a canary file, "" when it holds none."""
    text = data.decode("ascii", "replace").strip()
    return text.removeprefix(PREFIX) if text.startswith(PREFIX) else ""


def expected(nonce: str, algorithm: str) -> str:
    """The digest, in hex, of a canary file with `nonce`."""
    digest = ALGORITHMS[algorithm]()
    digest.update(memoryview(content(nonce)))
    return digest.digest().hex()
