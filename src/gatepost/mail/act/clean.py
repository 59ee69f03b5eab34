"""A mail without its dangerous parts (deliver-cleaned).

What it does: puts a notice in the place of each part in which something was found, and takes macros out of Office documents where that
is safe; every other byte of the mail stays as it is.
Not its job: deciding that a mail may be cleaned (`decide`), scanning the result, which the caller must do before anybody gets it.
Raises: `CleanError` when a mail cannot be cleaned: it has more than one reading, or a finding is about no single part; `BudgetError`.

The places are those of the plain reading, so a mail that two readers could see in different ways is never cleaned: in the other
reading the part would still be there. What was written is read again, and every part but the replaced ones must be there unchanged.
Signatures over the whole content (DKIM, S/MIME, OpenPGP) do not hold for a cleaned mail. DKIM-Signature fields stay where they are:
a signature that does not verify counts as none (RFC 6376 6.1), and no relay should remove one (RFC 6376 4.2).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import MIMEPart
from email.policy import SMTP
from typing import NamedTuple

from gatepost.mail.act.macros import Stripped, strip_macros
from gatepost.mail.act.notice import WORDS
from gatepost.mail.model import Budget, Buffer, Finding, Part
from gatepost.mail.parse import Entity, Reading, read

NOTICE = """\
The mail gateway took something out of this mail before it was delivered.

{what}:  {name}
Because:  {why}
Number:   {identifier}

Everything else is as it was sent. The original is kept: whoever needs it
can ask the administrator and name the number.
"""

REMOVED, DISARMED = "Removed", "Macros removed from"

_MOST_REASONS = 3
_LONGEST = 80
_UNSAFE = re.compile(r"[^\w .()+-]")
_CONTENT_FIELDS = re.compile(
    rb"^(?:mime-version|content-[!-9;-~]*)[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*", re.IGNORECASE | re.MULTILINE
)
_POLICY = SMTP.clone(cte_type="7bit")


class CleanError(Exception):
    """The mail cannot be cleaned; the text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be cleaned: the findings to get rid of, the number that notices name, and whether documents may keep all but their macros."""

    identifier: str
    findings: tuple[Finding, ...]
    strip: bool = True


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned mail: its bytes, what was done to which part in words, and whether a document was left in it without its macros."""

    content: bytes
    removed: tuple[str, ...]
    stripped: bool = False


class _Place(NamedTuple):
    """A part that can be replaced; `message` says that its header is also that of a mail, whose other fields stay."""

    entity: Entity
    message: bool

    @property
    def span(self) -> tuple[int, int]:
        return self.entity.header[0], self.entity.body[1]


class _Piece(NamedTuple):
    """New bytes for a span of the mail, and what they are, in words."""

    span: tuple[int, int]
    content: bytes
    words: str
    stripped: bool


def clean(raw: Buffer, order: Order, budget: Budget) -> Cleaned:
    """The mail without the parts that the findings name. Raises CleanError, BudgetError."""
    reading = read(raw, budget)
    if not reading.plain or reading.findings:
        raise CleanError("mail programs could read it in different ways")
    places = dict(_by_label(reading.root))
    targets = _targets(places, order.findings)
    pieces = [_piece(reading, label, places[label], found, order, budget) for label, found in targets.items()]
    content = _spliced(reading.root.buffer, pieces)
    _check(reading, content, targets, budget)
    return Cleaned(content, tuple(piece.words for piece in pieces), any(piece.stripped for piece in pieces))


def _by_label(root: Entity) -> Iterator[tuple[str, _Place]]:
    """The parts that stand in the raw mail itself, innermost first, by the number that findings give them: an outer one takes its name."""
    yield from reversed([(_label(place), place) for place in _places(root, message=True) if _label(place)])


def _places(entity: Entity, *, message: bool) -> Iterator[_Place]:
    yield _Place(entity, message)
    for child in entity.children:
        if child.buffer is entity.buffer:
            yield from _places(child, message=not entity.type.startswith("multipart"))


def _label(place: _Place) -> str:
    """How findings call it: the only part of a mail is the first of it (RFC 3501 6.4.5)."""
    path = place.entity.path
    if not place.message or place.entity.children:
        return path
    return f"{path}.1" if path else "1"


def _targets(places: Mapping[str, _Place], findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The parts to replace, in order, with the findings of each; those inside of others go with them.

    A finding about the mail as a whole names no part: whether it is gone with the others is for the next scan to say.
    """
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        label = finding.part.partition("!")[0]
        while label and label not in places:
            label = label.rpartition(".")[0]
        if label:
            found.setdefault(label, []).append(finding)
        elif finding.part:
            raise CleanError(f"{finding.name} is in part {finding.part}, which has no place of its own in the mail")
    if not found:
        raise CleanError("nothing that was found is in a part of its own")
    outer = {label for label in found if not any(_within(places[label], places[other]) for other in found if other != label)}
    return {label: found[label] for label in sorted(outer, key=lambda label: places[label].span)}


def _within(inner: _Place, outer: _Place) -> bool:
    return outer.span[0] <= inner.span[0] and inner.span[1] <= outer.span[1]


def _piece(reading: Reading, label: str, place: _Place, found: Sequence[Finding], order: Order, budget: Budget) -> _Piece:
    part = next((part for part in reading.parts if part.path == label), None)
    stripped = strip_macros(bytes(part.data), budget) if part and order.strip and not place.message else None
    name, why = _name(part), _reasons(found)
    what = DISARMED if stripped else REMOVED
    notice = _notice(NOTICE.format(what=what, name=name, why=why, identifier=order.identifier))
    put = _both(notice, stripped, name, hashlib.sha256(bytes(reading.root.buffer) + label.encode()).hexdigest()) if stripped else notice
    return _Piece(place.span, _written(put, place, reading.root.buffer), f"{what} {label} {name}: {why}", stripped is not None)


def _name(part: Part | None) -> str:
    """The part's name as it may stand in a notice: no control or direction mark, nothing that a reader makes a link of by its slashes."""
    names = part.names if part else ()
    return _shown(names[0]) if names else "a part without a name"


def _shown(text: str) -> str:
    return _UNSAFE.sub("_", text)[:_LONGEST].strip() or "_"


def _reasons(found: Sequence[Finding]) -> str:
    told = dict.fromkeys(f"{WORDS[finding.kind]} ({_shown(finding.name)})" for finding in found)
    return "; ".join([*list(told)[:_MOST_REASONS], *(["and more"] if len(told) > _MOST_REASONS else [])])


def _notice(text: str) -> MIMEPart:
    """The notice as a part; in base64, no line of which can be taken for a delimiter."""
    notice = MIMEPart(_POLICY)
    notice.set_content(text, charset="utf-8", cte="base64", disposition="inline")
    return notice


def _both(notice: MIMEPart, stripped: Stripped, name: str, mark: str) -> MIMEPart:
    """The notice and the document that is left, in the place of the document."""
    document = MIMEPart(_POLICY)
    stem = name.rpartition(".")[0] or name
    family, _, kind = stripped.kind.file.partition("/")
    document.set_content(stripped.content, family, kind, filename=f"{stem}.{stripped.kind.extension}")
    both = MIMEPart(_POLICY)
    both["Content-Type"] = "multipart/mixed"
    both.set_boundary(f"=_gatepost_{mark[:32]}")
    both.set_payload([notice, document])
    return both


def _written(part: MIMEPart, place: _Place, buffer: bytes) -> bytes:
    """The part as bytes with the line ends of the mail; where it takes the place of a whole mail's content, under that mail's other fields."""
    fields, _, body = part.as_bytes().partition(b"\r\n\r\n")
    if place.message:
        start, end = place.entity.header
        block = buffer[start:end]
        others = _CONTENT_FIELDS.sub(b"", block if block.endswith(b"\n") else block + b"\r\n")
        fields = others + b"MIME-Version: 1.0\r\n" + fields
    content = fields + b"\r\n\r\n" + body.removesuffix(b"\r\n")
    return content if b"\r\n" in buffer else content.replace(b"\r\n", b"\n")


def _spliced(buffer: bytes, pieces: Iterable[_Piece]) -> bytes:
    out = bytearray()
    at = 0
    for piece in pieces:
        start, end = piece.span
        out += buffer[at:start]
        out += piece.content
        at = end
    return bytes(out + buffer[at:])


def _check(before: Reading, content: bytes, targets: Iterable[str], budget: Budget) -> None:
    """Read what was written as everybody would. Raises CleanError unless there is one reading, and all other parts are what they were."""
    after = read(content, budget)
    if not after.plain or after.findings:
        raise CleanError("without its dangerous parts mail programs could read it in different ways")
    if _others(before, targets) != _others(after, targets):
        raise CleanError("without its dangerous parts the others would not be what they were")


def _others(reading: Reading, targets: Iterable[str]) -> list[tuple[str, tuple[str, ...], bytes]]:
    gone = tuple(targets)
    inside = tuple(f"{label}{mark}" for label in gone for mark in ".!")
    return [
        (part.path, part.names, bytes(part.data)) for part in reading.parts if part.path not in gone and not part.path.startswith(inside)
    ]
