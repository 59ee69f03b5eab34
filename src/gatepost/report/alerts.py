"""Which alerts were sent, to whom, what the next hop said, and who has read them.

Not its job: sending (`services.teller`).
Raises: `JournalError`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.journal.interface import Journal

SENT, FAILED, SEEN = "alert.sent", "alert.failed", "alert.seen"
UNREAD = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """One message. `what` is alert, notice or escalation; `lines` are count, what happened, to what, and the id of the first.

    `replies` are the next hop's words for each recipient, the proof of delivery; `failed` says why nothing was taken. `seen` is when somebody
    said that it was read (0: nobody), `by` who.
    """

    at: float
    what: str
    channel: str
    to: tuple[str, ...]
    lines: tuple[tuple[int, str, str, str], ...]
    replies: dict[str, str]
    failed: str
    seen: float
    by: str


def alerts(journal: Journal, limit: int = 100) -> list[Told]:
    """The newest messages, newest first."""
    looks = sorted((event.at, str(event.data.get("by", ""))) for event in journal.newest(SEEN, limit))
    events = sorted((*journal.newest(SENT, limit), *journal.newest(FAILED, limit)), key=lambda event: -event.at)[:limit]
    found = []
    for event in events:
        data = event.data
        seen, by = next(((at, who) for at, who in looks if at >= event.at), (UNREAD, ""))
        lines = tuple((int(count), str(what), str(name), str(first)) for count, what, name, first in data.get("lines", ()))
        to, replies = tuple(data.get("to", ())), dict(data.get("replies", {}))
        found.append(Told(event.at, data["what"], data.get("channel", ""), to, lines, replies, data.get("why", ""), seen, by))
    return found
