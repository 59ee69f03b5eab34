"""The gate: what the receiving servers ask, answered by scanning, deciding and recording, in this order and never in another.

What it does: `message` has a mail scanned, decides for each recipient, has the keeper write down what is promised, and only then answers.
Not its job: protocols (`mail.receive`), looking at mail (`scand`), writing (`keeperd`).
Raises: nothing; whatever fails is a temporary failure, and the sender keeps the mail.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import replace

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.journal.event import new_id
from gatepost.mail.act import receipt
from gatepost.mail.act.release import released
from gatepost.mail.act.rewrite import field_names, field_value, header_block
from gatepost.mail.decide.direction import Perimeter
from gatepost.mail.decide.policy import Context, decide
from gatepost.mail.decide.reply import combine, settle
from gatepost.mail.inspect.brake import Mode, Signature, ease
from gatepost.mail.model import Answer, Buffer, Decision, Direction, Disposition, Envelope, HeaderEdit, Reply
from gatepost.mail.receive.spool import Spool
from gatepost.services import canary, cleaning
from gatepost.services.canary import Canaries
from gatepost.services.complaints import Complaints
from gatepost.services.keeper import Keeper, KeeperError
from gatepost.services.messages import Done, Outcome, Record
from gatepost.services.retained import wanted
from gatepost.services.scanners import OverloadError, Scanners
from gatepost.site.model import Site

log = logging.getLogger(__name__)

OVERLOADED = Reply(451, "4.3.2", "too many mails wait to be checked, try again in a few minutes")
NOT_RECORDED = Reply(451, "4.3.0", "the mail gateway could not write down what it would promise, try again later")

KEPT = frozenset({Disposition.QUARANTINE, Disposition.REJECT, Disposition.DELIVER_CLEANED})
"""With these the mail's bytes go to quarantine."""


class Gate:
    """Satisfies `mail.receive.handler.Handler`. `handed_on` says that our answer delivers the mail (a milter's does).

    `modes` are the signatures whose word counts otherwise than their engine's; until somebody sets them every word counts.
    """

    def __init__(
        self,
        site: Site,
        scanners: Scanners,
        keeper: Keeper,
        public_key: Ed25519PublicKey,
        *,
        handed_on: bool,
        known: frozenset[str] | None = None,
        canaries: Canaries | None = None,
    ) -> None:
        self._site = site
        self._perimeter = Perimeter.of(site)
        self._scanners = scanners
        self._keeper = keeper
        self._handed_on = handed_on
        self._known = known
        self._canaries = canaries
        self._public_key = public_key
        self._telling: set[asyncio.Task[None]] = set()
        self._complaints = Complaints()
        self.overloaded = 0
        self.modes: Mapping[Signature, Mode] = {}

    async def recipient(self, envelope: Envelope, recipient: str) -> Reply | None:
        """Say why this recipient is refused: not ours to relay to, or not known here."""
        return self._perimeter.refusal(envelope, recipient, self._known)

    async def message(self, envelope: Envelope, spool: Spool) -> Answer:
        """Scan, decide, record, answer."""
        at = time.time()
        identifier = new_id(at, random.getrandbits(25))
        directions = {recipient: self._perimeter.direction(envelope, recipient) for recipient in envelope.recipients}
        try:
            verdict = await self._scanners.scan(envelope, spool, frozenset(directions.values()))
        except OverloadError:
            self.overloaded += 1
            return Answer(OVERLOADED)
        ours = _has_ours(spool.view())
        findings, undone = ease(verdict.findings, self.modes)
        if findings != verdict.findings:
            verdict = replace(verdict, findings=findings)
        contexts = self._contexts(envelope, directions, spool.view() if ours else b"", undone)
        judged = tuple(decide(findings, context, self._site.policy) for context in contexts)
        decisions = settle(judged)
        if self._canaries and ours and (nonce := self._canaries.nonce(spool.view(), at)):
            return canary.answer(nonce, verdict, decisions)
        if decisions and decisions[0].disposition is Disposition.TEMPFAIL and decisions[0].findings:
            self._complaints.waits(identifier, decisions[0].findings[0])
        mail = cleaning.Judged(identifier, envelope, spool, findings, contexts, judged)
        cleaned = await cleaning.cleaned(mail, self._scanners, self._site.policy, self.modes)
        if cleaned:
            decisions = settle(judged, cleaned=True)
        answer = combine(decisions, identifier, self._edits(decisions, spool.view(), ours=ours), cleaned.content if cleaned else None)
        record = Record(identifier, at, envelope, verdict, decisions, answer.reply, self._handed_on, cleaned=cleaning.traces(cleaned))
        return await self._record(record, answer, spool)

    def _contexts(
        self, envelope: Envelope, directions: Mapping[str, Direction], ours: Buffer, undone: frozenset[Signature]
    ) -> tuple[Context, ...]:
        """What the policy must know of each recipient; `ours` is the mail where it has a field of ours, which may allow it."""
        zone = self._perimeter.zone(envelope.client)
        leave = released(ours, self._public_key, time.time()) if ours else None
        return tuple(
            Context(recipient, direction, zone, leave.allows(recipient) if leave else frozenset(), undone)
            for recipient, direction in directions.items()
        )

    @staticmethod
    def _edits(decisions: tuple[Decision, ...], raw: Buffer, *, ours: bool) -> tuple[HeaderEdit, ...]:
        """Fields of our name that we did not write are taken out; spam is marked."""
        forged = receipt.strip_forged(field_names(raw)) if ours else ()
        tagged = any(decision.tag for decision in decisions)
        subject = receipt.subject_tag(decisions, field_value(raw, "Subject")) if tagged else ()
        return (*forged, *receipt.spam_header(decisions), *subject)

    async def _record(self, record: Record, answer: Answer, spool: Spool) -> Answer:
        """Have it written down, and only then give the answer, with the receipt in its header."""
        keep = any(decision.disposition in KEPT for decision in record.decisions)
        copy = wanted(self._site, record.verdict, record.decisions)
        try:
            done = await self._keeper.ask(msgspec.structs.replace(record, keep=keep, copy=copy), spool.fd if keep or copy else None)
        except KeeperError as error:
            log.error("mail %s is not answered: %s", record.id, error)  # noqa: TRY400 the reason is all there is to know
            return Answer(NOT_RECORDED)
        if not answer.recipients or not isinstance(done, Done):
            return answer
        return replace(answer, headers=(*answer.headers, HeaderEdit(receipt.FIELD, done.receipt)), notes={"id": record.id})

    async def outcome(self, _envelope: Envelope, answer: Answer, replies: Mapping[str, Reply]) -> None:
        """Have it recorded what the next hop said to those who should get the mail. The sender need not wait for it: the mail is safe."""
        identifier = answer.notes.get("id")
        told = {recipient: reply for recipient, reply in replies.items() if recipient in answer.recipients}
        if identifier and told:
            task = asyncio.get_running_loop().create_task(
                self._tell(Outcome(identifier, time.time(), told, cleaned=answer.body is not None))
            )
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, outcome: Outcome) -> None:
        try:
            await self._keeper.ask(outcome)
        except KeeperError as error:
            log.error("what became of mail %s is not in the journal: %s", outcome.id, error)  # noqa: TRY400 the reason is all there is

    async def drain(self) -> None:
        """Wait until everything is recorded."""
        await asyncio.gather(*self._telling)


def _has_ours(raw: Buffer) -> bool:
    """Whether a header field has a name that only we may give; a quick look that most mails pass."""
    return receipt.OURS.encode() in bytes(header_block(raw)).lower()
