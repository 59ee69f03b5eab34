"""The whole way of a mail in one short function of plain calls; read this first.

What it does: `examine` takes the bytes of a mail and says what it is: read, unpack, inspect, sum up.
Not its job: what then happens to the mail (`decide`, `act`), and where it came from (`receive`). It runs in a scan worker.
Raises: nothing of its own; each stage turns what it could not look at into a finding.
"""

from __future__ import annotations

import hashlib
import time

from gatepost.mail.inspect.schedule import Scheduler
from gatepost.mail.model import Budget, Buffer, Direction, Envelope, Limits, Message, Part, PartSummary, Verdict
from gatepost.mail.parse import Reading, read
from gatepost.mail.parse.outline import outline
from gatepost.mail.unpack import walk
from gatepost.mail.unpack.filetype import is_text
from gatepost.mail.unpack.passwords import candidates

SUMMARY_LIMIT = 500
"""So many parts are named in a verdict; the rest were looked at all the same."""

NOTE = 4096
"""Bytes of an attached text that may be a note with a password, whatever type it claims."""

TEXT = 50_000
"""Bytes of each text in which passwords are looked for."""


def examine(raw: Buffer, envelope: Envelope, directions: frozenset[Direction], scheduler: Scheduler, limits: Limits) -> Verdict:
    """Look at everything in a mail, in every plausible reading, and return all that was found."""
    start = time.monotonic()
    budget = Budget(limits, cpu=time.process_time, wall=time.monotonic)
    reading = read(raw, budget)
    unpacked = walk(reading.parts, budget, read, guesses(reading))
    message = _message(raw, reading, unpacked.parts)
    inspection = scheduler.inspect(message, envelope, budget, directions)
    return Verdict(
        findings=(*reading.findings, *unpacked.findings, *inspection.findings),
        engines=inspection.reports,
        parts=tuple(summary(part) for part in unpacked.parts[:SUMMARY_LIMIT]),
        digest=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        seconds=time.monotonic() - start,
        subject=reading.headers.subject,
        message_id=reading.headers.message_id,
    )


def opened(raw: Buffer, limits: Limits) -> Message:
    """A mail as engines are given it: read and unpacked, without asking anybody."""
    budget = Budget(limits, cpu=time.process_time, wall=time.monotonic)
    reading = read(raw, budget)
    return _message(raw, reading, walk(reading.parts, budget, read, guesses(reading)).parts)


def _message(raw: Buffer, reading: Reading, parts: tuple[Part, ...]) -> Message:
    return Message(raw, parts, reading.plain, outline(reading.root) if reading.plain else None)


def guesses(reading: Reading) -> tuple[str, ...]:
    """Passwords that the mail's texts suggest for its attachments; none for a mail without any."""
    texts = [part for part in reading.parts if part.declared.startswith("text/") or (len(part.data) <= NOTE and is_text(bytes(part.data)))]
    if len(texts) == len(reading.parts):
        return ()
    names = (name for part in reading.parts for name in part.names)
    return candidates((str(part.data[:TEXT], "utf-8", "replace") for part in texts), reading.headers.subject, names)


def summary(part: Part) -> PartSummary:
    """Everything about a part but its bytes."""
    return PartSummary(
        path=part.path,
        names=part.names,
        declared=part.declared,
        type=part.type,
        size=len(part.data),
        digest=hashlib.sha256(part.data).hexdigest(),
        reading=part.reading,
    )
