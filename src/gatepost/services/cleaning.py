"""A mail that may go on without its dangerous parts: cleaned by a scan worker, scanned again as any mail is, or held.

What it does: for the recipients whose policy says deliver-cleaned, has the parts taken out, and lets go on only what a new scan passes.
Not its job: taking out (`mail.act.clean`), recording.
Raises: nothing; whatever goes wrong, there is no cleaned mail, and the whole mail is held.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatepost.mail.act.clean import Cleaned, CleanError, Order
from gatepost.mail.decide.policy import Context, decide, unwanted
from gatepost.mail.decide.reply import settle
from gatepost.mail.inspect.brake import Mode, Signature, ease
from gatepost.mail.model import Decision, Disposition, Envelope, Finding, Traces
from gatepost.mail.receive.spool import Spool
from gatepost.services.scanners import OverloadError, Scanners
from gatepost.site.mail import Policy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail with what was found in it, and what its policy says for each recipient, in the order of `contexts`."""

    identifier: str
    envelope: Envelope
    spool: Spool
    findings: tuple[Finding, ...]
    contexts: Sequence[Context]
    decisions: Sequence[Decision]


async def cleaned(mail: Judged, scanners: Scanners, policy: Policy, modes: Mapping[Signature, Mode]) -> Cleaned | None:
    """The mail as those get it who may have it cleaned; None when nobody may, or when it cannot be cleaned."""
    contexts = [
        context
        for context, decision in zip(mail.contexts, settle(mail.decisions, cleaned=True), strict=True)
        if decision.disposition is Disposition.DELIVER_CLEANED
    ]
    if not contexts:
        return None
    findings = tuple(dict.fromkeys(finding for context in contexts for finding in unwanted(mail.findings, context, policy)))
    try:
        for strip in (True, False):
            made = await scanners.clean(mail.envelope, mail.spool, Order(mail.identifier, findings, strip))
            left = await _found(made, mail.envelope, contexts, scanners)
            passed, _ = ease(left, modes)
            if all(decide(passed, context, policy).disposition is Disposition.DELIVER for context in contexts):
                return made
            if not made.stripped:
                break
    except (CleanError, OverloadError, OSError) as error:
        log.warning("mail %s is held, since it cannot be cleaned: %s", mail.identifier, error)
        return None
    log.warning("mail %s is held, since something is found in it when its dangerous parts are gone: %s", mail.identifier, left[0].name)
    return None


def traces(made: Cleaned | None) -> Traces | None:
    """What journal and receipt say of a cleaned mail."""
    return Traces(hashlib.sha256(made.content).hexdigest(), made.removed) if made else None


async def _found(made: Cleaned, envelope: Envelope, contexts: Sequence[Context], scanners: Scanners) -> tuple[Finding, ...]:
    """What is found in a cleaned mail by the same scan that every mail gets."""
    with Spool() as spool:
        spool.write(made.content)
        verdict = await scanners.scan(envelope, spool, frozenset(context.direction for context in contexts))
    return verdict.findings
