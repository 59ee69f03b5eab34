"""Carries a chain from one store to another, link by link, so that the other ends with the same hash.

What it does: begins where the other store ends, so that what was interrupted goes on; proves both ends equal afterwards.
Not its job: which stores (`gatepost.deploy.storage`), stopping whoever writes to the first.
Raises: `JournalError`; what was carried over until then stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatepost.journal.interface import Chained, JournalError, Query

BATCH = 2000
"""Links in one transaction."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many links were new, and what the other store has now: events, its last number and hash; mails by verdict and recipients by state.

    `compared` says that the counts of mails were compared. They are not where the first store has forgotten events: it may still list a mail
    whose first event is gone.
    """

    new: int
    events: int
    sequence: int
    hash: str
    verdicts: dict[str, int]
    states: dict[str, int]
    compared: bool


def move(source: Chained, target: Chained, tell: Callable[[int, int], None]) -> Moved:
    """Bring `target` to where `source` ends; `tell` is given how many links are there, and how many there will be."""
    new = _carry(source, target, tell)
    if source.head() != target.head():
        raise JournalError(
            "failed", f"events came meanwhile: {source.head().sequence - target.head().sequence} are missing there; run it again"
        )
    whole = target.verify()
    verdicts, states = dict(target.count(Query(), "verdict")), dict(target.count(Query(), "state"))
    compared = source.start().sequence == target.start().sequence == 0
    if compared and (verdicts, states) != (dict(source.count(Query(), "verdict")), dict(source.count(Query(), "state"))):
        raise JournalError(
            "corrupt",
            f"the chains are equal, but mails are counted differently: {states} there, {dict(source.count(Query(), 'state'))} here",
        )
    return Moved(new, whole.events, whole.sequence, whole.hash, verdicts, states, compared)


def _carry(source: Chained, target: Chained, tell: Callable[[int, int], None]) -> int:
    end = source.head().sequence
    if not target.head().sequence and source.start().sequence:
        target.begin(source.start())
    if target.head().sequence > end:
        raise JournalError(
            "gone", f"there are {target.head().sequence} events there already and {end} here; this is not the way to move them"
        )
    new = 0
    while links := source.links(max(0, target.head().sequence - 1), BATCH):
        # The link before is sent along: the other store compares it with its own.
        received = target.receive(links)
        if not received:
            break
        new += received
        tell(links[-1].sequence, end)
    return new
