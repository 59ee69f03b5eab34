"""Reports as mail and as events: the daily "all well" too, because silence is what a dead check looks like.

Composing is pure; sending is one call.
Raises: `OSError` and `smtplib.SMTPException` from `send`.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from typing import Any

import msgspec

from gatepost.integrity import html, text
from gatepost.integrity.report import Report, Status

Emit = Callable[[str, str, Mapping[str, Any]], None]
"""Takes the kind, the subject and the data of an event."""

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
    """Tell the journal: one event for the report, one for each finding."""
    canary = report.canary.song.value if report.canary else "missing"
    data = {
        "status": report.status.value,
        "findings": len(report.findings) + report.hidden,
        "explained": sum(e.count for e in report.explained),
    }
    emit(
        "integrity.report", report.host, {**data, "sequence": report.sequence, "canary": canary, "alarms": [a.name for a in report.alarms]}
    )
    for finding in report.findings:
        emit("integrity.finding", finding.path, {"what": finding.kind, "rule": finding.rule, "severity": finding.severity})


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
