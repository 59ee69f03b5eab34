"""The whole way of one mail in sentences, from its events.

What it does: words what each event says: who came, who looked, what was found, which rule decided, what followed.
Not its job: reading the journal, or layout; terminal and console both show these lines.
Raises: `KeyError` for a `mail.judged` event without what it must carry.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gatepost.journal.event import Event
from gatepost.journal.rows import JUDGED

STEPS = {
    "mail.delivered": "taken by the next hop",
    "mail.cleaned": "taken by the next hop without its dangerous parts",
    "mail.refused": "refused by the next hop",
    "mail.deferred": "not taken by the next hop yet",
    "mail.releasing": "release begun",
    "mail.released": "released",
    "mail.deleted": "deleted",
    "feedback.false-alarm": "called a false alarm",
    "mail.unkept": "bytes removed from quarantine",
}

KINDS = {
    "clean": "nothing was found in it",
    "virus": "it carries a virus",
    "banned": "it carries a kind of file that is not allowed here",
    "spam": "it looks like spam",
    "suspect": "something in it behaves like an attack",
    "ambiguous": "mail programs could read it in different ways",
    "encrypted": "it is encrypted and cannot be checked",
    "unchecked": "it could not be checked completely",
}
"""What each kind of finding means, to end "The mail was stopped, for ..."."""

ENDS = {
    "deliver": "delivered",
    "deliver-cleaned": "delivered without its dangerous parts",
    "quarantine": "held in quarantine",
    "reject": "refused",
    "tempfail": "sent away to come again later",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a story. `at` (seconds since the epoch) is None for a line that belongs to the one before; `label` says what it tells."""

    at: float | None
    label: str
    text: str


def story(events: Iterable[Event]) -> list[Line]:
    """The mail's way, a line each, in the order of its events."""
    lines: list[Line] = []
    for event in events:
        lines += _judged(event) if event.kind == JUDGED else [_step(event)]
    return lines


def _step(event: Event) -> Line:
    data = event.data
    who = f" for {data['recipient']}" if data.get("recipient") else ""
    by = f" by {data['by']}" if data.get("by") else ""
    said = f": {data['reply']}" if data.get("reply") else ""
    return Line(event.at, "", f"{STEPS.get(event.kind, event.kind)}{who}{by}{said}")


def _judged(event: Event) -> list[Line]:
    data = event.data
    client = f"{data['client_name'] or 'unknown'} [{data['client'] or 'local'}]"
    user = f", user {data['user']}" if data["user"] else ""
    told = [
        ("from", data["sender"] or "<>"),
        *(("to", f"{one['address']} ({one['direction']})") for one in data["recipients"]),
        ("subject", data["subject"]),
        ("size", f"{data['size']:,} bytes, SHA-256 {data['digest']}"),
        *(("asked", _engine(one)) for one in data["engines"]),
        *(("found", finding(one)) for one in data["findings"]),
        *(("decided", f"{one['disposition']} for {one['address']} by rule {one['rule']}") for one in data["recipients"]),
        *(("cleaned", words) for words in data.get("cleaned", {}).get("removed", ())),
        ("answered", data["reply"]),
        *([("kept", "in quarantine")] if data["kept"] else []),
    ]
    received = Line(event.at, "", f"received from {client}, who said {data['helo'] or 'nothing'}{user}")
    return [received, *(Line(None, label, text) for label, text in told)]


def _engine(one: Mapping[str, Any]) -> str:
    signatures = f", signatures {one['signatures']}" if one["signatures"] else ""
    certified = f", certificate {one['certificate']}" if one.get("certificate") else ""
    return f"{one['name']} {one['version']}{signatures}{certified}: {one['state']} in {one['seconds'] * 1000:.1f} ms"


def finding(one: Mapping[str, Any]) -> str:
    """One finding of a `mail.judged` event, with who says so and where."""
    where = f" in part {one['part']}" if one["part"] else ""
    detail = f": {one['detail']}" if one["detail"] else ""
    score = f" ({one['score']:.1f} points)" if one["score"] else ""
    return f"{one['kind']} {one['name']}{score}{where} by {one['source']}{detail}"


def plain(lines: Iterable[Line]) -> list[str]:
    """The lines as text for a terminal."""
    return [f"  {line.label:<9} {line.text}" if line.at is None else f"{moment(line.at)}  {line.text}" for line in lines]


def moment(at: float) -> str:
    """A time for people, in the machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def printable(text: str) -> str:
    """A mail's words must not move the terminal's cursor or turn the reading direction of what stands beside them."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
