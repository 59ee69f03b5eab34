"""From a judged mail to the event that tells it, and back to its envelope.

What it does: lays down what `mail.judged` carries. The journal keeps it as it is, so keys may be added but never change their meaning.
Not its job: writing the event (`gatepost.journal`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatepost.journal.event import Event
from gatepost.journal.rows import JUDGED
from gatepost.journal.states import State
from gatepost.mail.model import Decision, Disposition, EngineReport, Envelope, Finding, Kind, PartSummary, Reply, Traces, Verdict

FIRST_STATES = {
    Disposition.DELIVER: State.ACCEPTED,
    Disposition.DELIVER_CLEANED: State.ACCEPTED,
    Disposition.QUARANTINE: State.QUARANTINED,
    Disposition.REJECT: State.REJECTED,
    Disposition.TEMPFAIL: State.TEMPFAILED,
}


def judged(
    identifier: str,
    at: float,
    envelope: Envelope,
    verdict: Verdict,
    decisions: Sequence[Decision],
    reply: Reply,
    *,
    kept: bool = False,
    handed_on: bool = False,
    cleaned: Traces | None = None,
) -> Event:
    """The event of a judged mail.

    `kept` says that its bytes are in quarantine, `handed_on` that our answer delivers it (a milter's accept); otherwise delivered
    recipients stay "accepted" until the next hop has answered. `cleaned` tells what was taken out of it for those who get it cleaned.
    """
    data: dict[str, Any] = {
        "sender": text(envelope.sender),
        "recipients": [_recipient(decision, handed_on=handed_on) for decision in decisions],
        "client": text(envelope.client),
        "client_name": text(envelope.client_name),
        "helo": text(envelope.helo),
        "user": text(envelope.user),
        "queue_id": text(envelope.queue_id),
        "sender_parameters": [text(parameter) for parameter in envelope.sender_parameters],
        "recipient_parameters": [[text(parameter) for parameter in one] for one in envelope.recipient_parameters],
        "envelope": [text(recipient) for recipient in envelope.recipients],
        "subject": text(verdict.subject),
        "message_id": text(verdict.message_id),
        "digest": verdict.digest,
        "size": verdict.size,
        "seconds": verdict.seconds,
        "findings": [_finding(finding) for finding in _weightiest_first(verdict, decisions)],
        "engines": [_engine(report) for report in verdict.engines],
        "parts": [_part(part) for part in verdict.parts],
        "reply": f"{reply.code} {reply.status} {reply.text}",
        "kept": kept,
    }
    if cleaned:
        data["cleaned"] = {"digest": cleaned.digest, "removed": [text(words) for words in cleaned.removed]}
    return Event(at, JUDGED, identifier, data)


def text(value: str) -> str:
    """A text that every store can hold: bytes that are not UTF-8 and lone surrogates as escapes, NUL as its sign."""
    if value.isascii() and "\0" not in value:
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\u2400")


def _weightiest_first(verdict: Verdict, decisions: Sequence[Decision]) -> tuple[Finding, ...]:
    """All findings, those of the first decision before the others: the one that decides leads and names the verdict."""
    leading = decisions[0].findings if decisions else ()
    return (*leading, *(finding for finding in verdict.findings if finding not in leading))


def _recipient(decision: Decision, *, handed_on: bool) -> dict[str, str]:
    state = FIRST_STATES[decision.disposition]
    return {
        "address": text(decision.recipient),
        "direction": str(decision.direction),
        "disposition": str(decision.disposition),
        "rule": decision.rule,
        "state": str(_handed_on(decision.disposition) if handed_on and state is State.ACCEPTED else state),
    }


def _handed_on(disposition: Disposition) -> State:
    return State.CLEANED if disposition is Disposition.DELIVER_CLEANED else State.DELIVERED


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": str(finding.kind),
        "name": text(finding.name),
        "part": text(finding.part),
        "source": finding.source,
        "detail": text(finding.detail),
        "score": finding.score,
    }


def _part(part: PartSummary) -> dict[str, Any]:
    """What lets us say later who got this content: its digest, and the name under which people know it."""
    return {"path": text(part.path), "name": text(part.names[0]) if part.names else "", "type": part.type, "digest": part.digest}


def _engine(report: EngineReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "version": text(report.version),
        "state": str(report.state),
        "seconds": round(report.seconds, 6),
        "signatures": text(report.signatures),
        "certificate": text(report.certificate),
    }


def findings_of(event: Event) -> tuple[Finding, ...]:
    """The findings that a `mail.judged` event tells, for judging again."""
    return tuple(
        Finding(Kind(one["kind"]), one["name"], one["part"], one["source"], one["detail"], one["score"]) for one in event.data["findings"]
    )


def envelope_of(event: Event) -> Envelope:
    """The envelope that a `mail.judged` event tells, for releasing."""
    data = event.data
    return Envelope(
        sender=data["sender"],
        recipients=tuple(data["envelope"]),
        client=data["client"],
        client_name=data["client_name"],
        helo=data["helo"],
        user=data["user"],
        queue_id=data["queue_id"],
        received=event.at,
        sender_parameters=tuple(data["sender_parameters"]),
        recipient_parameters=tuple(tuple(one) for one in data["recipient_parameters"]),
    )
