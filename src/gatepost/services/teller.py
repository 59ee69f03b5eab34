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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gatepost.assess.incident import TOLD
from gatepost.deploy.doctor.licence import ENDS
from gatepost.integrity.notify import alert as changed
from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, JournalError
from gatepost.mail.act import alert
from gatepost.mail.act.alert import Alert, Pending, Severity
from gatepost.mail.act.notice import compose_notice, compose_recall, wants_notice
from gatepost.mail.act.recall import FOUND, Recalled
from gatepost.mail.decide.direction import Perimeter
from gatepost.mail.model import Decision, Disposition, Envelope
from gatepost.report.alerts import FAILED, SEEN, SENT
from gatepost.services.messages import Note, Record
from gatepost.services.outbox import NotSentError, send
from gatepost.services.selftest import FAULTS
from gatepost.signatures.update import OLD_SIGNATURES
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

WARNINGS = {OLD_SIGNATURES: "signatures are old", ENDS: "a licence ends", FAULTS: "the self-test found a fault"}
"""Kinds of events of which the administrator is told, and in which words."""

MAIN = ""
"""The channel that the site always has."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Who is told by mail and by webhook, of alerts from which severity on, and how often at most (seconds)."""

    to: tuple[str, ...]
    webhook: str | None
    least: Severity
    interval: float


class Teller:
    """Alerts and notices of one site."""

    def __init__(self, site: Site, path: Path, journal: Journal) -> None:
        self._site = site
        self._path = path
        self._journal = journal
        self._perimeter = Perimeter.of(site)
        self._channels = _channels(site)
        found = _load(path)
        self._pending = {name: found.get(name, Pending()) for name in self._channels}
        self._saved = dict(self._pending)
        self._notices: list[tuple[Envelope, bytes]] = []
        self._rest_until = 0.0

    def stopped(self, record: Record) -> None:
        """A mail was not simply delivered: note whom to tell."""
        for decision in record.decisions:
            if decision.disposition is not Disposition.DELIVER:
                self._offer(_alert(record, decision))
        inside = self._perimeter.is_inside(record.envelope)
        ours = self._perimeter.is_ours(record.envelope.sender)
        if wants_notice(record.envelope, record.decisions, inside=inside, ours=ours) and len(self._notices) < NOTICES:
            self._notices.append(compose_notice(record.id, record.envelope, record.decisions, self._site.postmaster, time.time()))

    def recalled(self, note: Note) -> None:
        """Mail that was delivered turned out to be bad: tell the administrator, and those who got it where the site wants that."""
        found = msgspec.convert(note.data, Recalled)
        self._offer(Alert("delivered mail turned out to be bad", found.hits[0].name, note.subject, Severity.CRITICAL))
        if self._site.retro.notify == "recipients":
            ours = tuple(one for one in found.recipients if self._perimeter.is_ours(one))
            room = max(0, NOTICES - len(self._notices))
            self._notices += [compose_recall(note.subject, found, one, self._site.postmaster, time.time()) for one in ours[:room]]

    def warn(self, what: str, name: str, severity: Severity = Severity.WARNING) -> None:
        """Something besides a mail is wrong: tell the administrator."""
        self._offer(Alert(what, name, "", severity))

    def noted(self, note: Note) -> None:
        """Something was written to the journal: tell the administrator where it is an alert; or somebody has read the alerts."""
        if note.kind == SEEN:
            self._pending[MAIN] = alert.seen(self._pending[MAIN])
        elif note.kind == FOUND:
            self.recalled(note)
        elif note.kind == TOLD:
            self.warn("an employee told us something: gatepost alerts told", str(note.data.get("kind", "")))
        elif note.kind in WARNINGS:
            self.warn(WARNINGS[note.kind], f"{note.subject} {note.data.get('text', '')}")
        elif about := changed(note.kind, note.subject, note.data):
            self.warn(*about)

    def _offer(self, one: Alert) -> None:
        for name, channel in self._channels.items():
            if one.severity >= channel.least:
                self._pending[name] = alert.offer(self._pending[name], one)

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
        for name, channel in self._channels.items():
            if alert.is_due(self._pending[name], now, channel.interval):
                await self._tell(name, channel, now)
        if self._site.alerts.second and alert.should_escalate(self._pending[MAIN], now, self._site.alerts.escalate):
            await self._escalate(self._site.alerts.second, now)

    async def _tell(self, name: str, channel: Channel, now: float) -> None:
        """Send the alert. What comes in meanwhile is for the next one; what was not sent waits with it."""
        pending, self._pending[name] = self._pending[name], alert.told(self._pending[name], now)
        envelope, content = alert.compose(pending, self._site.site.name, self._site.postmaster, channel.to, now)
        about: dict[str, object] = {
            "channel": name,
            "lines": [[line.count, line.alert.what, line.alert.name, line.alert.id] for line in pending.lines],
        }
        if not channel.to or await asyncio.to_thread(self._send, envelope, content, "alert", about):
            await asyncio.to_thread(_call, channel.webhook, alert.webhook(pending, self._site.site.name, now))
        else:
            self._pending[name] = alert.together(pending, self._pending[name])
            self._rest_until = now + REST

    async def _escalate(self, second: str, now: float) -> None:
        lines = [
            f"Alerts of Gatepost at {alert.clean(self._site.site.name)} have not been looked at for too long.",
            "",
            "gatepost alerts list",
            "",
        ]
        envelope, content = alert.compose_text("[Gatepost] alerts unread", lines, self._site.postmaster, (second,), now)
        if await asyncio.to_thread(self._send, envelope, content, "escalation"):
            self._pending[MAIN] = alert.escalated(self._pending[MAIN])

    def _send(self, envelope: Envelope, content: bytes, what: str, about: dict[str, object] | None = None) -> bool:
        try:
            replies = send(self._site, envelope, content)
        except (NotSentError, OSError) as error:
            log.warning("%s not sent: %s", what, error)
            self._say(FAILED, {"what": what, "why": str(error)})
            return False
        self._say(SENT, {"what": what, "to": list(envelope.recipients), "replies": replies, **(about or {})})
        return True

    def _say(self, kind: str, data: dict[str, object]) -> None:
        try:
            self._journal.append([Event(time.time(), kind, "alerts", data)], sync=False)
        except JournalError:
            log.exception("an alert is not in the journal")

    def save(self) -> None:
        """Put what is pending on the disk, if it changed."""
        if self._pending != self._saved:
            pending = dict(self._pending)
            write_atomic(self._path, msgspec.json.encode(pending))
            self._saved = pending


def _call(webhook: str | None, body: bytes) -> None:
    if not webhook:
        return
    request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})  # noqa: S310 http(s) by the site's check
    try:
        urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS).close()  # noqa: S310
    except (urllib.error.URLError, OSError) as error:
        log.warning("webhook not reached: %s", error)


def _channels(site: Site) -> dict[str, Channel]:
    """Everybody who is told: the site's own channel, which hears of everything, and those that the site file adds."""
    everybody = tuple(dict.fromkeys((site.virusalerts, *site.alerts.to)))
    main = Channel(everybody, site.alerts.webhook, Severity.INFO, site.alerts.interval)
    added = {one.name: Channel(one.to, one.webhook, Severity[one.least.upper()], one.interval) for one in site.alerts.channels}
    return {MAIN: main, **added}


def _alert(record: Record, decision: Decision) -> Alert:
    finding = decision.findings[0] if decision.findings else None
    if decision.disposition is Disposition.TEMPFAIL:
        return Alert("mail is held up", f"{finding.source} {finding.name}" if finding else "", record.id)
    kind = str(finding.kind) if finding else "policy"
    return Alert(f"{decision.direction} {kind} stopped", finding.name if finding else decision.rule, record.id, Severity.INFO)


def _load(path: Path) -> dict[str, Pending]:
    """What was pending; a file without channels, as written before there were any, is the main one's."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        return msgspec.convert({MAIN: found} if "lines" in found else found, dict[str, Pending])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
