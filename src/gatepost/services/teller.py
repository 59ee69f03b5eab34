"""Who is told what: gathers alerts from judged mails, sends them when they are due, and notices to our own senders.

What it does: keeps what is pending in a file, so that a restart forgets nothing; one mail an interval, however many there are.
Not its job: the words (`mail.act.alert`, `mail.act.notice`).
Raises: nothing; a mail that cannot be sent is tried again in the next round, and the journal says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, JournalError
from gatepost.mail.act import alert
from gatepost.mail.act.alert import Alert, Pending
from gatepost.mail.act.notice import compose_notice, compose_recall, wants_notice
from gatepost.mail.act.recall import Recalled
from gatepost.mail.decide.direction import Perimeter
from gatepost.mail.model import Decision, Disposition, Envelope
from gatepost.services.messages import Note, Record
from gatepost.services.outbox import NotSentError, send
from gatepost.site.model import Site
from gatepost.system.files import write_atomic

log = logging.getLogger(__name__)

ROUND = 1.0
"""Seconds between two looks at what is due."""

NOTICES = 1_000
"""So many notices wait at most; senders of more are told by the alert to the administrator."""

WEBHOOK_SECONDS = 10.0

REST = 30.0
"""Seconds to wait after an alert could not be sent."""


class Teller:
    """Alerts and notices of one site."""

    def __init__(self, site: Site, path: Path, journal: Journal) -> None:
        self._site = site
        self._path = path
        self._journal = journal
        self._perimeter = Perimeter.of(site)
        self._pending = _load(path)
        self._saved = self._pending
        self._notices: list[tuple[Envelope, bytes]] = []
        self._rest_until = 0.0

    def stopped(self, record: Record) -> None:
        """A mail was not simply delivered: note whom to tell."""
        for decision in record.decisions:
            if decision.disposition is not Disposition.DELIVER:
                self._pending = alert.offer(self._pending, _alert(record, decision))
        inside = self._perimeter.is_inside(record.envelope)
        ours = self._perimeter.is_ours(record.envelope.sender)
        if wants_notice(record.envelope, record.decisions, inside=inside, ours=ours) and len(self._notices) < NOTICES:
            self._notices.append(compose_notice(record.id, record.envelope, record.decisions, self._site.postmaster, time.time()))

    def recalled(self, note: Note) -> None:
        """Mail that was delivered turned out to be bad: tell the administrator, and those who got it where the site wants that."""
        found = msgspec.convert(note.data, Recalled)
        self._pending = alert.offer(self._pending, Alert("delivered mail turned out to be bad", found.hits[0].name, note.subject))
        if self._site.retro.notify == "recipients":
            ours = tuple(one for one in found.recipients if self._perimeter.is_ours(one))
            room = max(0, NOTICES - len(self._notices))
            self._notices += [compose_recall(note.subject, found, one, self._site.postmaster, time.time()) for one in ours[:room]]

    def warn(self, what: str, name: str) -> None:
        """Something besides a mail is wrong: tell the administrator."""
        self._pending = alert.offer(self._pending, Alert(what, name, ""))

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            await asyncio.sleep(ROUND)
            notices, self._notices = self._notices, []
            for envelope, content in notices:
                await asyncio.to_thread(self._send, envelope, content, "notice")
            await self._round(time.time())
            try:
                await asyncio.to_thread(self.save)
            except OSError as error:
                log.warning("pending alerts are not on the disk: %s", error)

    async def _round(self, now: float) -> None:
        if now < self._rest_until:
            return
        if alert.is_due(self._pending, now, self._site.alerts.interval):
            await self._tell(now)
        if self._site.alerts.second and alert.should_escalate(self._pending, now, self._site.alerts.escalate):
            await self._escalate(self._site.alerts.second, now)

    async def _tell(self, now: float) -> None:
        """Send the alert. What comes in meanwhile is for the next one; what was not sent waits with it."""
        pending, self._pending = self._pending, alert.told(self._pending, now)
        recipients = tuple(dict.fromkeys((self._site.virusalerts, *self._site.alerts.to)))
        envelope, content = alert.compose(pending, self._site.site.name, self._site.postmaster, recipients, now)
        if await asyncio.to_thread(self._send, envelope, content, "alert"):
            await asyncio.to_thread(self._call_webhook, alert.webhook(pending, self._site.site.name, now))
        else:
            self._pending = alert.together(pending, self._pending)
            self._rest_until = now + REST

    async def _escalate(self, second: str, now: float) -> None:
        lines = [f"Alerts of Gatepost at {alert.clean(self._site.site.name)} have not been looked at for too long.", "", "gatepost log", ""]
        envelope, content = alert.compose_text("[Gatepost] alerts unread", lines, self._site.postmaster, (second,), now)
        if await asyncio.to_thread(self._send, envelope, content, "escalation"):
            self._pending = alert.escalated(self._pending)

    def _send(self, envelope: Envelope, content: bytes, what: str) -> bool:
        try:
            send(self._site, envelope, content)
        except (NotSentError, OSError) as error:
            log.warning("%s not sent: %s", what, error)
            self._say("alert.failed", {"what": what, "why": str(error)})
            return False
        self._say("alert.sent", {"what": what, "to": list(envelope.recipients)})
        return True

    def _call_webhook(self, body: bytes) -> None:
        if not self._site.alerts.webhook:
            return
        request = urllib.request.Request(self._site.alerts.webhook, body, {"Content-Type": "application/json"})  # noqa: S310 http(s) by the site's check
        try:
            urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS).close()  # noqa: S310
        except (urllib.error.URLError, OSError) as error:
            log.warning("webhook not reached: %s", error)

    def _say(self, kind: str, data: dict[str, object]) -> None:
        try:
            self._journal.append([Event(time.time(), kind, "alerts", data)], sync=False)
        except JournalError:
            log.exception("an alert is not in the journal")

    def save(self) -> None:
        """Put what is pending on the disk, if it changed."""
        if self._pending is not self._saved:
            write_atomic(self._path, msgspec.json.encode(self._pending))
            self._saved = self._pending


def _alert(record: Record, decision: Decision) -> Alert:
    finding = decision.findings[0] if decision.findings else None
    if decision.disposition is Disposition.TEMPFAIL:
        return Alert("mail is held up", f"{finding.source} {finding.name}" if finding else "", record.id)
    kind = str(finding.kind) if finding else "policy"
    return Alert(f"{decision.direction} {kind} stopped", finding.name if finding else decision.rule, record.id)


def _load(path: Path) -> Pending:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pending)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Pending()
