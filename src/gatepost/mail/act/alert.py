"""Alerts: told once an interval with counts, however many there are, and never with the thing itself in them.

What it does: gathers alerts, says when a mail is due and to whom, and writes it; a storm of 10,000 viruses is one mail an interval.
Not its job: sending. Nothing that a stranger chose but names, cut and cleaned, comes into an alert.
Raises: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from enum import IntEnum

import msgspec

from gatepost.mail.model import Envelope

MOST_LINES = 50
"""Different alerts named in one mail; the rest are only counted, so that a sender who varies names cannot fill memory."""
LONGEST = 240

_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Severity(IntEnum):
    """How urgent an alert is. INFO: it was dealt with, as meant. WARNING: somebody should look. CRITICAL: the promise is in danger."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that the administrator should know: what happened, to what (virus name, engine, rule), and an example's id."""

    what: str
    name: str = ""
    id: str = ""
    severity: Severity = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Line:
    """How often something happened since the last mail, and the id of the first."""

    alert: Alert
    count: int


@dataclass(frozen=True, slots=True)
class Pending:
    """What is not told yet. `last` is when the last mail went, `unread` since when nobody has looked (0: all seen); seconds since the epoch."""

    lines: tuple[Line, ...] = ()
    others: int = 0
    last: float = 0.0
    unread: float = 0.0
    escalated: bool = False


def offer(pending: Pending, alert: Alert) -> Pending:
    """Count one more alert; alerts are the same when `what` and `name` are."""
    for place, line in enumerate(pending.lines):
        if (line.alert.what, line.alert.name) == (alert.what, alert.name):
            lines = (*pending.lines[:place], replace(line, count=line.count + 1), *pending.lines[place + 1 :])
            return replace(pending, lines=lines)
    if len(pending.lines) == MOST_LINES:
        return replace(pending, others=pending.others + 1)
    return replace(pending, lines=(*pending.lines, Line(alert, 1)))


def together(pending: Pending, newer: Pending) -> Pending:
    """What could not be told, and what came in since."""
    lines = list(pending.lines)
    others = pending.others + newer.others
    for line in newer.lines:
        place = next(
            (place for place, old in enumerate(lines) if old.alert.what == line.alert.what and old.alert.name == line.alert.name), -1
        )
        if place >= 0:
            lines[place] = replace(lines[place], count=lines[place].count + line.count)
        elif len(lines) < MOST_LINES:
            lines.append(line)
        else:
            others += line.count
    return replace(pending, lines=tuple(lines), others=others)


def is_due(pending: Pending, now: float, interval: float) -> bool:
    """Whether a mail should go now: there is something to tell, and the last went an interval ago or its time lies in the future."""
    return bool(pending.lines) and (now - pending.last >= interval or pending.last > now)


def told(pending: Pending, now: float) -> Pending:
    """After the mail was handed over: nothing is pending; it counts as unread until `seen`."""
    return Pending(last=now, unread=pending.unread or now, escalated=pending.escalated)


def seen(pending: Pending) -> Pending:
    """Somebody has looked."""
    return replace(pending, unread=0.0, escalated=False)


def should_escalate(pending: Pending, now: float, after: float) -> bool:
    """Whether the second contact should hear that nobody has looked for `after` seconds; once."""
    return bool(pending.unread) and not pending.escalated and now - pending.unread >= after


def escalated(pending: Pending) -> Pending:
    """After the second contact was told."""
    return replace(pending, escalated=True)


def compose(pending: Pending, site: str, sender: str, recipients: Sequence[str], now: float) -> tuple[Envelope, bytes]:
    """The alert mail: plain ASCII text with counts, names and ids. Its envelope sender is null, so that it can never cause a bounce."""
    total = sum(line.count for line in pending.lines) + pending.others
    rows = [_row(line) for line in pending.lines]
    if pending.others:
        rows.append(f"{pending.others:>7}  of other names")
    text = [f"{total} alert{'s' if total > 1 else ''} at {clean(site)}:", "", *rows, "", "Look closer with: gatepost message ID", ""]
    return compose_text(f"[Gatepost] {total} x {clean(pending.lines[0].alert.what)}", text, sender, recipients, now)


def _row(line: Line) -> str:
    name = f": {clean(line.alert.name)}" if line.alert.name else ""
    example = f"  (first: {clean(line.alert.id)})" if line.alert.id else ""
    return f"{line.count:>7}  {clean(line.alert.what)}{name}{example}"


def compose_text(subject: str, lines: Sequence[str], sender: str, recipients: Sequence[str], now: float) -> tuple[Envelope, bytes]:
    """A mail that Gatepost writes itself; RFC 3834 5 says how others know not to answer it."""
    header = [
        f"From: Gatepost <{sender}>",
        f"To: {', '.join(recipients)}",
        f"Subject: {subject}",
        f"Date: {formatdate(now)}",
        f"Message-ID: <gatepost.{int(now * 1e6)}@{sender.rpartition('@')[2]}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
    ]
    mail = "\r\n".join([*header, "", *lines])
    return Envelope(sender="", recipients=tuple(recipients), received=now), mail.encode("ascii", "replace")


def clean(text: str) -> str:
    """A name as it may stand in a mail or on a screen: printable ASCII, one line, cut."""
    return _UNSAFE.sub("?", text)[:LONGEST]


def webhook(pending: Pending, site: str, now: float) -> bytes:
    """The same as JSON, for a webhook."""
    alerts = [
        {"what": clean(line.alert.what), "name": clean(line.alert.name), "count": line.count, "first": line.alert.id}
        for line in pending.lines
    ]
    return msgspec.json.encode({"site": site, "at": int(now), "alerts": alerts, "others": pending.others})
