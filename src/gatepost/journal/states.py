"""What can become of a mail for one recipient: a small state machine, as a table.

What it does: says which state follows which. Each recipient of each mail is in exactly one.
Raises: `StateError` for a step that the table does not have.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a mail is for one recipient. ACCEPTED waits for more: the next hop has not answered yet.

    CLEANED is delivered without its dangerous parts; the mail as it came is kept, and can still be released.
    """

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    CLEANED = "cleaned"
    REJECTED = "rejected"
    TEMPFAILED = "tempfailed"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    DELETED = "deleted"


class StateError(Exception):
    """A step that cannot be."""


# A refused mail can be released, since a copy of it may be kept; a deferred one cannot, since the sender brings it again.
FOLLOWS: dict[State | None, frozenset[State]] = {
    None: frozenset({State.ACCEPTED, State.DELIVERED, State.CLEANED, State.REJECTED, State.TEMPFAILED, State.QUARANTINED}),
    State.ACCEPTED: frozenset({State.DELIVERED, State.CLEANED, State.REJECTED, State.TEMPFAILED, State.QUARANTINED}),
    State.QUARANTINED: frozenset({State.RELEASED, State.DELETED}),
    State.DELIVERED: frozenset(),
    State.CLEANED: frozenset({State.RELEASED}),
    State.REJECTED: frozenset({State.RELEASED}),
    State.TEMPFAILED: frozenset(),
    State.RELEASED: frozenset(),
    State.DELETED: frozenset(),
}

STEPS: dict[str, State] = {
    "mail.delivered": State.DELIVERED,
    "mail.cleaned": State.CLEANED,
    "mail.refused": State.REJECTED,
    "mail.deferred": State.TEMPFAILED,
    "mail.released": State.RELEASED,
    "mail.deleted": State.DELETED,
}
"""The kinds of event that move one recipient on; `mail.judged` gives each its first state."""


def step(now: State | None, then: State) -> State:
    """The state after `now`. The same state again changes nothing, so that an event told twice after a crash does no harm."""
    if then is not now and then not in FOLLOWS[now]:
        raise StateError(f"a mail cannot become {then} when it is {now or 'unknown'}")
    return then
