"""The values a mail is made of on its way from socket to verdict.

What it does: names the few frozen values that cross the rooms of `gatepost.mail`.
Not its job: reading bytes, asking engines, deciding; nothing here does I/O or reads a clock.
Raises: only `BudgetError`, from `Budget`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gatepost.mail.budget import Budget, BudgetError, Limits

__all__ = [
    "Answer",
    "Budget",
    "BudgetError",
    "Buffer",
    "Decision",
    "Direction",
    "Disposition",
    "EngineReport",
    "EngineState",
    "Envelope",
    "Finding",
    "HeaderEdit",
    "Kind",
    "Limits",
    "Message",
    "Part",
    "PartSummary",
    "Reply",
    "Traces",
    "Verdict",
]

Buffer = bytes | memoryview


class Kind(StrEnum):
    """What a finding says. A closed set: `decide` names what happens to each."""

    VIRUS = "virus"
    BANNED = "banned"
    SPAM = "spam"
    SUSPECT = "suspect"
    AMBIGUOUS = "ambiguous"
    ENCRYPTED = "encrypted"
    UNCHECKED = "unchecked"


class Direction(StrEnum):
    """Which way a mail goes, for one recipient."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Disposition(StrEnum):
    """The closed set of ends that a mail can have, for one recipient."""

    DELIVER = "deliver"
    DELIVER_CLEANED = "deliver-cleaned"
    QUARANTINE = "quarantine"
    REJECT = "reject"
    TEMPFAIL = "tempfail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody saw in a mail.

    `name` is the signature, rule or quirk; `part` the path of the part (see `Part.path`, "" for the whole mail);
    `source` the engine or stage that says so; `detail` one sentence for people; `score` only for SPAM (points).
    """

    kind: Kind
    name: str
    part: str = ""
    source: str = ""
    detail: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of content that somebody could open: a leaf of the MIME tree, or a member of a container.

    `path` is the MIME number ("1.2"), then "!" and the member's name for each container ("2!a.zip!b.exe").
    `data` is the content as a reader would see it: a slice of the raw mail where nothing is encoded.
    `names` are all file names that any reader could show, `declared` the media type claimed (lower case, no parameters),
    `type` what the content really is (an id of `unpack.filetype`, "" while not looked at), `reading` the quirk that yields this
    part ("" for the plain reading), `charset` the declared charset of a text, `disposition` "inline", "attachment" or "".
    """

    path: str
    data: Buffer
    names: tuple[str, ...] = ()
    declared: str = ""
    type: str = ""
    reading: str = ""
    charset: str = ""
    disposition: str = ""
    depth: int = 0


class Outline(NamedTuple):
    """A mail without the middle of its large encoded bodies, whose contents are the parts with the paths in `cut`."""

    data: Buffer
    cut: frozenset[str]


@dataclass(frozen=True, slots=True)
class Message:
    """A whole mail as received: `raw` its bytes (CRLF lines as they will be delivered), `parts` everything found in it.

    `plain` says that the mail has one reading only and no oddity: engines that read the decoded parts have then seen all of it.
    A plain mail with large attachments has an `outline`.
    """

    raw: Buffer
    parts: tuple[Part, ...] = ()
    plain: bool = False
    outline: Outline | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent a mail to whom, from where. Addresses are without angle brackets, UTF-8 with surrogateescape; "" is the null sender."""

    sender: str
    recipients: tuple[str, ...]
    client: str = ""
    client_name: str = ""
    helo: str = ""
    user: str = ""
    queue_id: str = ""
    received: float = 0.0
    sender_parameters: tuple[str, ...] = ()
    recipient_parameters: tuple[tuple[str, ...], ...] = ()


class EngineState(StrEnum):
    """How an engine's work on one mail ended. Only CLEAN and FOUND mean that it looked."""

    CLEAN = "clean"
    FOUND = "found"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What became of one engine on one mail; `signatures` is the age mark of its signature set ("" when it has none)."""

    name: str
    version: str
    state: EngineState
    seconds: float = 0.0
    signatures: str = ""
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class PartSummary:
    """A part without its bytes, for journal, console and quarantine. `digest` is SHA-256 in hex."""

    path: str
    names: tuple[str, ...]
    declared: str
    type: str
    size: int
    digest: str
    reading: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a mail is: every finding, who looked, and what was looked at. `digest` is SHA-256 of the raw mail in hex."""

    findings: tuple[Finding, ...]
    engines: tuple[EngineReport, ...] = ()
    parts: tuple[PartSummary, ...] = ()
    digest: str = ""
    size: int = 0
    seconds: float = 0.0
    subject: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: code (RFC 5321 4.2), enhanced status (RFC 3463), one line of text."""

    code: int
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Traces:
    """What tells that a mail goes on cleaned: SHA-256 of what goes on in hex, and in words what was taken out of which part."""

    digest: str
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a mail for one recipient, by which rule of the policy, because of which findings."""

    recipient: str
    direction: Direction
    disposition: Disposition
    rule: str
    findings: tuple[Finding, ...] = ()
    tag: str = ""


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """A change to the header: add `value` on top, or delete the `index`-th (from 1) field called `name` when `value` is None."""

    name: str
    value: str | None = None
    index: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front tells the MTA or the sender at end of data.

    With `reply.code` 250 the mail goes on to `recipients` (none: it is kept in quarantine and nobody gets it) with `headers` applied,
    and with `body` in place of its whole content when that is not None (deliver-cleaned).
    """

    reply: Reply
    recipients: tuple[str, ...] = ()
    headers: tuple[HeaderEdit, ...] = ()
    body: bytes | None = None
    notes: dict[str, str] = field(default_factory=dict)
