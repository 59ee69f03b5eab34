"""A month of a small company's mail, made up: events as the gateway would have written them, and the bytes of what it kept.

What it does: draws senders, sizes, hours and findings from fixed tables with a seed, so that the same seed gives the same month.
Not its job: writing; nothing here is ever mixed with a real site's journal.
Raises: nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP

from gatepost.journal.event import Event, new_id
from gatepost.mail.act.record import judged
from gatepost.mail.inspect.samples import EICAR
from gatepost.mail.model import Decision, Direction, Disposition, EngineReport, EngineState, Envelope, Finding, Kind, Reply, Verdict

OURS = "widget.example"
PEOPLE = (
    "alice",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "grace",
    "heidi",
    "ivan",
    "judy",
    "mallory",
    "niaj",
    "olivia",
    "peggy",
    "rupert",
)
PARTNERS = (
    "partner.example",
    "supplier.example",
    "customer.example",
    "bank.example",
    "printer.example",
    "travel.example",
    "school.example",
)
STRANGERS = ("offers.example", "win-now.example", "parcel-service.example", "invoice-desk.example", "mail-update.example")
SUBJECTS = (
    "Meeting on Thursday", "Offer {n}", "Order {n}", "Re: order {n}", "Your invoice {n}", "Drawings of part {n}", "Delivery {n} is on its way",
    "Minutes of the meeting", "Question about widget {n}", "Holiday plan", "Re: holiday plan", "Reminder: invoice {n}", "Complaint {n}",
    "Angebot {n} für Gehäuse", "Rechnung {n}", "Thank you", "Price list {n}", "Lunch?",
)  # fmt: skip
BAIT = (
    "You have won",
    "Parcel {n} could not be delivered",
    "Your mailbox is full",
    "Invoice {n} overdue",
    "Cheap watches",
    "Account locked",
)
VIRUSES = (
    ("Win.Trojan.Emotet-9876", "clamav"), ("Doc.Dropper.Agent-1234", "clamav"), ("Win.Worm.Mydoom-5", "clamav"), ("Js.Downloader.Nemucod-7", "clamav"),
    ("EICAR_Test_File", "yara"), ("Pdf.Phishing.Agent-42", "clamav"),
)  # fmt: skip
OTHERS = (
    (Kind.SPAM, "score", "rspamd", 0.055),
    (Kind.BANNED, "double-extension", "banned", 0.004),
    (Kind.ENCRYPTED, "zip-encrypted", "unpack", 0.003),
    (Kind.SUSPECT, "html-smuggling", "unpack", 0.001),
    (Kind.AMBIGUOUS, "boundary-twice", "parse", 0.001),
)
HOURS = (1, 1, 1, 1, 1, 2, 4, 10, 22, 26, 25, 22, 14, 20, 24, 23, 18, 10, 5, 3, 2, 2, 1, 1)
"""How busy each hour of a working day is."""

ENGINES = (("yara", "YARA-X 1.23"), ("banned", "Gatepost"), ("hashes", "SHA-256"), ("clamav", "ClamAV 1.4"), ("rspamd", "rspamd 3.9"))
_SIGNED = {"yara", "clamav"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One mail of the month: its events, and its bytes when they are kept."""

    events: tuple[Event, ...]
    kept: bytes | None = None


def month(start: datetime, until: datetime, mails: int, viruses: int, seed: int = 1) -> Iterator[Sent]:
    """Mails from `start` (a midnight) to `until`, in the order of time; exactly `viruses` of them carry one."""
    draw = random.Random(seed)  # noqa: S311 made-up mail needs no secrets
    moments = sorted(_moment(draw, start, until) for _ in range(mails))
    infected = set(draw.sample(range(mails), viruses))
    for number, at in enumerate(moments):
        yield _mail(draw, number, at, is_infected=number in infected)


def _moment(draw: random.Random, start: datetime, until: datetime) -> float:
    days = (until - start).days + 1
    while True:
        day = start + timedelta(days=draw.randrange(days))
        hour = draw.choices(range(24), HOURS)[0]
        at = day + timedelta(hours=hour, seconds=draw.random() * 3600)
        is_worked = day.weekday() < 5 or draw.random() < 0.15  # noqa: PLR2004 - working days, and a little on the others
        if is_worked and at < until:
            return at.timestamp()


def _mail(draw: random.Random, number: int, at: float, *, is_infected: bool) -> Sent:
    findings = _findings(draw, is_infected=is_infected)
    outbound = draw.random() < (0.1 if findings else 0.35)
    envelope = _envelope(draw, number, stranger=bool(findings) and draw.random() < 0.6, outbound=outbound)  # noqa: PLR2004
    subject = draw.choice(BAIT if findings and not outbound else SUBJECTS).format(n=draw.randrange(1000, 9999))
    raw = _raw(envelope, subject, at, findings) if findings else b""
    size = len(raw) or int(draw.lognormvariate(9.5, 1.4))
    direction = Direction.OUTBOUND if outbound else Direction.INBOUND
    end = _end(findings)
    rule = f"default.{findings[0].kind}.{direction}" if findings else "clean"
    decisions = tuple(Decision(recipient, direction, end, rule, findings) for recipient in envelope.recipients)
    verdict = Verdict(
        findings,
        _engines(draw, at, findings),
        digest=hashlib.sha256(raw or str((number, at)).encode()).hexdigest(),
        size=size,
        seconds=round(draw.lognormvariate(-4.5, 0.8), 6),
        subject=subject,
        message_id=f"{number}.{int(at)}@{envelope.sender.partition('@')[2]}",
    )
    identifier = new_id(at, draw.getrandbits(25))
    event = judged(identifier, at, envelope, verdict, decisions, _reply(end, identifier), kept=bool(findings))
    return Sent((event, *_afterwards(draw, at, identifier, decisions)), raw or None)


def _findings(draw: random.Random, *, is_infected: bool) -> tuple[Finding, ...]:
    if is_infected:
        name, source = draw.choice(VIRUSES)
        return (Finding(Kind.VIRUS, name, "2", source, "a known virus"),)
    drawn = draw.random()
    for kind, name, source, share in OTHERS:
        drawn -= share
        if drawn < 0:
            score = round(draw.uniform(15, 40), 1) if kind is Kind.SPAM else 0.0
            return (Finding(kind, name, "" if kind is Kind.SPAM else "2", source, "", score),)
    return ()


def _envelope(draw: random.Random, number: int, *, stranger: bool, outbound: bool) -> Envelope:
    domain = draw.choice(STRANGERS) if stranger and not outbound else draw.choices(PARTNERS, range(len(PARTNERS), 0, -1))[0]
    other = f"{draw.choice(('info', 'office', 'sales', 'j.doe', 'team'))}@{domain}"
    ours = [f"{name}@{OURS}" for name in draw.sample(PEOPLE, draw.choices((1, 2, 3), (85, 12, 3))[0])]
    if outbound:
        return Envelope(ours[0], (other,), "192.168.3.45", "mailserver.widget.example", "mailserver.widget.example", queue_id=f"{number:X}")
    host = f"mx.{domain}"
    return Envelope(other, tuple(ours), f"203.0.113.{draw.randrange(1, 250)}", host, host, queue_id=f"{number:X}")


def _end(findings: tuple[Finding, ...]) -> Disposition:
    if not findings:
        return Disposition.DELIVER
    return Disposition.REJECT if findings[0].kind is Kind.VIRUS else Disposition.QUARANTINE


def _reply(end: Disposition, identifier: str) -> Reply:
    if end is Disposition.REJECT:
        return Reply(554, "5.7.1", f"refused: it carries a virus ({identifier})")
    return Reply(250, "2.0.0", f"accepted ({identifier})" if end is Disposition.DELIVER else f"kept ({identifier})")


def _engines(draw: random.Random, at: float, findings: tuple[Finding, ...]) -> tuple[EngineReport, ...]:
    finders = {finding.source for finding in findings}
    day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    return tuple(
        EngineReport(
            name,
            version,
            EngineState.FOUND if name in finders else EngineState.CLEAN,
            round(draw.lognormvariate(-6, 0.7), 6),
            day if name in _SIGNED else "",
        )
        for name, version in ENGINES
    )


def _afterwards(draw: random.Random, at: float, identifier: str, decisions: tuple[Decision, ...]) -> Iterator[Event]:
    """What follows a decision: delivery, and now and then somebody who releases what was held wrongly."""
    for decision in decisions:
        address = decision.recipient
        if decision.disposition is Disposition.DELIVER:
            yield Event(at + 0.2, "mail.delivered", identifier, {"recipient": address, "reply": "250 2.0.0 taken"})
        elif decision.disposition is Disposition.QUARANTINE and draw.random() < 0.04:  # noqa: PLR2004
            by = {"recipient": address, "by": draw.choice(("anna", address))}
            yield Event(at + 3600, "mail.releasing", identifier, by)
            yield Event(at + 3601, "mail.released", identifier, by)


def _raw(envelope: Envelope, subject: str, at: float, findings: tuple[Finding, ...]) -> bytes:
    """A held mail as it came in; its virus is the harmless test file."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = envelope.sender, ", ".join(envelope.recipients), subject
    mail["Date"] = datetime.fromtimestamp(at, UTC)
    mail.set_content("Dear all,\n\nplease see the attached file and answer today.\n\nKind regards\n")
    if findings[0].kind is not Kind.SPAM:
        content = EICAR if findings[0].kind is Kind.VIRUS else b"MZ" + bytes(500)
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=f"invoice-{int(at) % 9000}.pdf.exe")
        mail.set_boundary(f"=_{int(at * 1000):x}")
    return mail.as_bytes()
