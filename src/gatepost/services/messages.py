"""What the processes say to one another: requests to the keeper and its answers, as frames of MessagePack.

Not its job: sending them (`gatepost.system.channel`).
Raises: `msgspec.MsgspecError` from `decode_request` and `decode_answer` for bytes that are no message.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from gatepost.mail.model import Decision, Envelope, Reply, Verdict


class Record(msgspec.Struct, frozen=True, tag="record"):
    """A judged mail. With `keep` its bytes come as a descriptor and go to quarantine; `handed_on`: our answer delivers it (milter)."""

    id: str
    at: float
    envelope: Envelope
    verdict: Verdict
    decisions: tuple[Decision, ...]
    reply: Reply
    handed_on: bool
    keep: bool = False


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """What the next hop said to each recipient of a mail that was recorded as accepted."""

    id: str
    at: float
    replies: dict[str, Reply]


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Deliver a kept mail to one of its recipients; `by` says who decided."""

    id: str
    recipient: str
    by: str


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Delete a kept mail for one of its recipients."""

    id: str
    recipient: str
    by: str


class Note(msgspec.Struct, frozen=True, tag="note"):
    """Something that happened besides mail, for the journal: an event of this kind about `subject`; `data` holds JSON values only."""

    kind: str
    subject: str
    data: dict[str, Any]


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The front's heartbeat: how many workers are connected, how many mails wait, how many were refused for overload since the start."""

    at: float
    workers: int
    waiting: int
    overloaded: int


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Ask how everything is."""


Request = Record | Outcome | Release | Delete | Note | Beat | Look


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is done, and on the disk where it must be. `receipt` is the value of the scan header for a recorded mail."""

    receipt: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It was not done, nothing was changed, and why."""

    why: str


class Canary(msgspec.Struct, frozen=True):
    """What the last canary showed: when, whether all is well, and in words."""

    at: float
    well: bool
    text: str


class Tally(msgspec.Struct):
    """What `metrics` shows of judged mail since the keeper's start. `buckets` counts scans by their seconds, see `metrics.BOUNDS`."""

    mails: dict[str, int] = msgspec.field(default_factory=dict)
    findings: dict[str, int] = msgspec.field(default_factory=dict)
    engines: dict[str, int] = msgspec.field(default_factory=dict)
    buckets: list[int] = msgspec.field(default_factory=list)
    seconds: float = 0.0


class Health(msgspec.Struct, frozen=True, tag="health"):
    """How everything is: since when, what passed, what the front and the canary last said (None when never).

    `canary_due` is the time at which a canary that has not come is an alarm (seconds since the epoch, 0 for none).
    """

    started: float
    counts: dict[str, int]
    beat: Beat | None
    canary: Canary | None = None
    canary_due: float = 0.0
    tally: Tally = msgspec.field(default_factory=Tally)


Answer = Done | Failed | Health


class Numbered(msgspec.Struct, frozen=True, array_like=True):
    """A request with the number that its answer will carry; after `until` (time.monotonic(), one clock for the machine) nobody wants it."""

    number: int
    request: Request
    until: float = math.inf


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """The answer to the request of that number."""

    number: int
    answer: Answer


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Numbered).decode
decode_answer = msgspec.msgpack.Decoder(Answered).decode
