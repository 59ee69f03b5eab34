"""Reports as mail and as events: the daily "all well" too, because silence is what a dead check looks like.

Composing is pure; sending is one call.
Not its job: writing the journal; whoever asks for events brings somebody who takes them.
Raises: `OSError` and `smtplib.SMTPException` from `send`.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from typing import Any, Final

import msgspec

from gatepost.integrity import html, text
from gatepost.integrity.canary import MEANING, Song
from gatepost.integrity.report import Report, Status

Emit = Callable[[str, str, Mapping[str, Any]], None]
"""Takes the kind, the subject and the data of an event."""

TOLD: Final = 100
"""Findings of a report that are events of their own; of the rest the journal has the number, and the report has them all."""

REPORT: Final = "integrity.report"
FINDING: Final = "integrity.finding"
CHANGE: Final = "integrity.change"
ALIVE: Final = "integrity.watch.alive"

_ALARMS: Final = {
    "integrity.alarm": "the check of the files cannot be trusted",
    "integrity.missing": "no report about the files has come",
    "integrity.untrusted": "a report about the files is forged or broken",
    "integrity.watch.overflow": "the live watch of the files lost events",
    "integrity.watch.deaf": "the live watch of the files is deaf",
    "integrity.watch.dead": "the live watch of the files is dead",
}
"""Kinds of events that are alarms, each with "text" in its data, and what they mean."""

_OF_SEVERAL: Final = frozenset({"integrity.alarm", "integrity.untrusted"})

_MARKS = {Status.WELL: "ok", Status.FINDINGS: "CHANGED", Status.BROKEN: "ALARM"}


def mails(report: Report, digest: str, sender: str, everybody: tuple[str, ...]) -> Iterator[EmailMessage]:
    """The whole report to `everybody`, and to each address that a rule names the findings of its rules."""
    for address in everybody:
        yield _mail(report, digest, sender, address)
    for address, numbers in report.mail.items():
        if address not in everybody:
            part = tuple(report.findings[n] for n in numbers if n < len(report.findings))
            yield _mail(msgspec.structs.replace(report, findings=part, hidden=0), digest, sender, address)


def events(report: Report, emit: Emit) -> None:
    """Tell the journal: one event for the report, one for each alarm, one for each of the `TOLD` gravest findings."""
    song = report.canary.song if report.canary else Song.MISSING
    found = {"findings": len(report.findings) + report.hidden, "explained": sum(e.count for e in report.explained)}
    alarms = {alarm.name: alarm.text for alarm in report.alarms}
    data = {"status": report.status.value, **found, "sequence": report.sequence, "canary": song.value, "alarms": list(alarms)}
    emit(REPORT, report.host, data)
    if report.canary and song is not Song.ALIVE:
        alarms["canary"] = MEANING[song]
    for name, why in alarms.items():
        emit("integrity.alarm", name, {"host": report.host, "sequence": report.sequence, "text": why})
    for finding in report.findings[:TOLD]:
        emit(
            FINDING,
            finding.path,
            {"host": report.host, "sequence": report.sequence, "what": finding.kind, "rule": finding.rule, "severity": finding.severity},
        )


def alert(kind: str, subject: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """What the administrator is told of an event: what is wrong, and about what; None for what is only written down."""
    if kind == FINDING:
        return f"{text.severity_word(int(data.get('severity', 0)))}: a watched file was {data.get('what', 'changed')}", subject
    return (_ALARMS[kind], _about(kind, subject, data)) if kind in _ALARMS else None


def is_alarm(kind: str) -> bool:
    """Whether events of this kind say that a check or a watch cannot be trusted."""
    return kind in _ALARMS


def sentence(kind: str, subject: str, data: Mapping[str, Any]) -> str:
    """An event of this room as one line for people."""
    if kind == REPORT:
        counts = f"{data.get('findings', 0)} unexplained, {data.get('explained', 0)} explained, canary {data.get('canary', '')}"
        return f"report {data.get('sequence', '')} of {subject}: {data.get('status', '')}; {counts}"
    if kind == FINDING:
        return f"{subject}: {data.get('what', '')} ({text.severity_word(int(data.get('severity', 0)))}, {data.get('rule', '')})"
    if kind == CHANGE:
        who = data.get("program") or "a program that is gone"
        return f"{subject}: {data.get('what', '')} by {who}, process {data.get('pid', '')}, user {data.get('user', '')}"
    return f"{_ALARMS[kind]}: {_about(kind, subject, data)}" if kind in _ALARMS else f"{kind.removeprefix('integrity.')} of {subject}"


def _about(kind: str, subject: str, data: Mapping[str, Any]) -> str:
    """What an alarm says: of which of the several parts of a check or which report, where there are several."""
    why = str(data.get("text", ""))
    return f"{subject}: {why}" if kind in _OF_SEVERAL else why


def send(messages: Iterator[EmailMessage], smarthost: str) -> int:
    """Send by SMTP to `smarthost` ("host:port"); how many."""
    count = 0
    host, _, port = smarthost.rpartition(":")
    with smtplib.SMTP(host or smarthost, int(port) if host else 25, timeout=30) as server:
        for message in messages:
            server.send_message(message)
            count += 1
    return count


def _mail(report: Report, digest: str, sender: str, address: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender or f"gatepost@{report.host}"
    message["To"] = address
    message["Subject"] = f"[integrity {_MARKS[report.status]}] {report.host}: {text.headline(report)}"
    message["X-Gatepost-Report"] = f"{report.sequence} {digest}"
    message.set_content(
        text.rendered(report)
        + f"\n  digest    {digest}\n  (compare it with the next report, which names it, and with `gatepost integrity verify-report`)\n"
    )
    message.add_alternative(html.rendered(report), subtype="html")
    return message
