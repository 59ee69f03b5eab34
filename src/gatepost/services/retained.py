"""Copies of delivered mail, where the site wants them: encrypted like the quarantine, so that engines can look again when they know more.

What it does: says of which mail a copy is kept, keeps it, gives it back, and lets go of what is too old or too much.
Not its job: judging again (`retro`). No journal event names a copy: it belongs to the mail with that digest.
Raises: `ContentError`, `OSError`, `KeyFileError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from gatepost.mail.act.contents import Contents
from gatepost.mail.decide.reply import DELIVERED
from gatepost.mail.model import Buffer, Decision, Verdict
from gatepost.services import keys
from gatepost.site.model import Site


def wanted(site: Site, verdict: Verdict, decisions: tuple[Decision, ...]) -> bool:
    """Whether the site wants a copy of this mail."""
    if site.retro.copies == "none" or not any(decision.disposition in DELIVERED for decision in decisions):
        return False
    return site.retro.copies == "all" or any(part.names or not part.declared.startswith("text/") for part in verdict.parts)


class Retained:
    """The copies of one site."""

    def __init__(self, site: Site) -> None:
        state = Path(site.site.state)
        self._rule = site.retro
        self._folder, self._keys = state / "retained", state / "keys"

    @cached_property
    def _contents(self) -> Contents:
        """The folder, made when the first copy is kept."""
        return Contents(self._folder, keys.secret(self._keys, "quarantine"))

    def keep(self, data: Buffer) -> None:
        """Keep a copy."""
        self._contents.put(data)

    def get(self, digest: str) -> bytes:
        """The mail whose SHA-256 is `digest`."""
        return self._contents.get(digest)

    def digests(self) -> frozenset[str]:
        """Of which mails there are copies."""
        return frozenset(digest for digest, _size, _written in self._entries())

    def _entries(self) -> Iterator[tuple[str, int, float]]:
        return self._contents.entries() if self._folder.is_dir() else iter(())

    def expire(self, now: float) -> int:
        """Remove what is older than the site says, then the oldest until the rest is small enough; gives how many went."""
        entries = sorted(self._entries(), key=lambda entry: entry[2])
        total, removed = sum(size for _, size, _ in entries), 0
        for digest, size, written in entries:
            if written >= now - self._rule.keep and total <= self._rule.size:
                break
            self._contents.remove(digest)
            total, removed = total - size, removed + 1
        return removed
