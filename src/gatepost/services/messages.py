"""What the processes say to one another: requests to the keeper and its answers, as frames of MessagePack.

Not its job: sending them (`gatepost.system.channel`).
Raises: `msgspec.MsgspecError` from `decode_request` and `decode_answer` for bytes that are no message.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from gatepost.mail.inspect.brake import Mode
from gatepost.mail.model import Decision, Envelope, Reply, Traces, Verdict


class Record(msgspec.Struct, frozen=True, tag="record"):
    """A judged mail; `handed_on`: our answer delivers it (milter).

    Its bytes come as a descriptor with `keep`, for the quarantine, and with `copy`, for the copies of delivered mail.
    """

    id: str
    at: float
    envelope: Envelope
    verdict: Verdict
    decisions: tuple[Decision, ...]
    reply: Reply
    handed_on: bool
    keep: bool = False
    copy: bool = False
    cleaned: Traces | None = None


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """What the next hop said to each recipient of a mail that was recorded as accepted; `cleaned`: they got it without its dangerous parts."""

    id: str
    at: float
    replies: dict[str, Reply]
    cleaned: bool = False


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


class Foresee(msgspec.Struct, frozen=True, tag="foresee"):
    """Ask what a release of a kept mail to one of its recipients would do; with `probe` the next hop is asked too."""

    id: str
    recipient: str
    probe: bool = True


class Post(msgspec.Struct, frozen=True, tag="post"):
    """Send a mail of our own (a digest) to one of our recipients."""

    recipient: str
    content: bytes


class Undo(msgspec.Struct, frozen=True, tag="undo"):
    """Let a signature of an engine not count any more, and release what only it held; `by` says who decided."""

    engine: str
    name: str
    by: str


class Redo(msgspec.Struct, frozen=True, tag="redo"):
    """Let a signature count again, whatever its rate; `by` says who decided."""

    engine: str
    name: str
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


class Rates(msgspec.Struct, frozen=True, tag="rates"):
    """Ask how often each signature stood alone, and which are braked or undone."""


class Introduce(msgspec.Struct, frozen=True, tag="introduce"):
    """Ask for what tells ours from forged."""


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """Ask for the bytes of a kept mail by their SHA-256 (lower-case hex)."""

    digest: str


Request = Record | Outcome | Release | Delete | Foresee | Post | Undo | Redo | Note | Beat | Look | Rates | Introduce | Fetch


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


class Foreseen(msgspec.Struct, frozen=True, tag="foreseen"):
    """What a release would do: hand these bytes with this envelope to `next_hop`, whose answer to sender and recipient is `reply`.

    `reply` is None when it was not asked. The mail stays held for `others`.
    """

    envelope: Envelope
    digest: str
    size: int
    others: tuple[str, ...]
    next_hop: str
    reply: Reply | None = None


class Introduced(msgspec.Struct, frozen=True, tag="introduced"):
    """What tells ours from forged: the public key (Ed25519, raw) of receipts and release tokens, the secret of canaries."""

    receipts: bytes
    canaries: bytes


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """The bytes of a kept mail."""

    content: bytes


class Modes(msgspec.Struct, frozen=True, tag="modes"):
    """The answer to a heartbeat: the signatures whose word counts otherwise than their engine's, as engine, name and mode."""

    modes: tuple[tuple[str, str, Mode], ...] = ()


class Hits(msgspec.Struct, frozen=True):
    """One signature: mails that it hit alone in the window, all mails of that time, its usual hits, and its mode ("" for an ordinary one)."""

    engine: str
    name: str
    hits: int
    mails: int
    usual: float
    mode: str = ""


class Signatures(msgspec.Struct, frozen=True, tag="signatures"):
    """The answer to `Rates`: every signature that stood alone in the last week, or has a mode."""

    hits: tuple[Hits, ...]


class Undone(msgspec.Struct, frozen=True, tag="undone"):
    """The answer to `Undo`: how many recipients got their mail now, who did not and why, and how many mails had been refused."""

    released: int
    failed: tuple[str, ...] = ()
    refused: int = 0


Given = Done | Health | Foreseen | Introduced | Kept | Modes | Signatures | Undone
"""What the keeper gives when it does what it is asked."""

Answer = Given | Failed


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
