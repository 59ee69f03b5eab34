"""The live canary: two mails of our own, one with the EICAR test file and one without, that show whether mail is really scanned.

What it does: makes the mails, signs each with a token that holds once and for minutes, recognises them at the gate, and judges the answers.
Only a mail with such a token is swallowed, so nobody ever gets a canary, and nobody else's mail is taken for one.
Not its job: sending (`watchd`), scanning: a canary goes the way of all mail as far as the verdict.
Raises: nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime

from gatepost.mail.act.rewrite import field_value
from gatepost.mail.inspect.samples import EICAR
from gatepost.mail.model import Answer, Buffer, Decision, Disposition, EngineState, Reply, Verdict
from gatepost.site.mail import ANTIVIRUS, DIRECTIONS
from gatepost.site.model import Site

FIELD = "X-Gatepost-Canary"

PASSED, FAILED = "canary.passed", "canary.failed"
"""Kinds of the journal's events."""

LIFE = 300.0
"""Seconds for which a token holds."""

REMEMBERED = 1_000
"""Tokens that were used; older ones are over their time by then."""

FOUND = "found by"

_TOKEN = re.compile(r"([0-9a-f]{16})\s+([0-9]{1,12})\s+([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Sent:
    """One canary: the nonce by which its answer is known, whether it carries the test file, its bytes."""

    nonce: str
    infected: bool
    content: bytes


def make(secret: bytes, address: str, now: float, *, infected: bool) -> Sent:
    """A canary from and to `address`, signed with `secret`."""
    nonce = secrets.token_hex(8)
    mail = EmailMessage(policy=SMTP)
    mail[FIELD] = f"{nonce} {int(now)} {_mac(secret, nonce, int(now))}"
    mail["From"] = mail["To"] = address
    mail["Subject"] = "Gatepost canary"
    mail["Date"] = format_datetime(localtime())
    mail.set_content("This mail shows that mail is scanned. It is never delivered.\n")
    if infected:
        mail.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="canary.bin")
    return Sent(nonce, infected, mail.as_bytes())


def _mac(secret: bytes, nonce: str, at: int) -> str:
    return hmac.new(secret, f"canary {nonce} {at}".encode(), hashlib.sha256).hexdigest()


class Canaries:
    """Recognises canaries, each once."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._used: dict[str, None] = {}

    def nonce(self, raw: Buffer, now: float) -> str:
        """The nonce of a mail with a token that holds now, "" for every other mail."""
        match = _TOKEN.fullmatch(field_value(raw, FIELD) or "")
        if match is None:
            return ""
        nonce, at = match[1], int(match[2])
        if abs(now - at) > LIFE or nonce in self._used or not hmac.compare_digest(match[3], _mac(self._secret, nonce, at)):
            return ""
        self._used[nonce] = None
        if len(self._used) > REMEMBERED:
            del self._used[next(iter(self._used))]
        return nonce


def answer(nonce: str, verdict: Verdict, decisions: tuple[Decision, ...]) -> Answer:
    """What the gate says of a canary: the verdict as for every mail, with the nonce, and nobody gets it."""
    ends = {decision.disposition for decision in decisions}
    if Disposition.TEMPFAIL in ends or not ends:
        why = next((finding.name for decision in decisions for finding in decision.findings), "no recipient")
        return Answer(Reply(451, "4.7.1", f"canary {nonce} not checked: {why}"))
    if ends == {Disposition.DELIVER}:
        return Answer(Reply(250, "2.0.0", f"canary {nonce} is clean"))
    found = " ".join(engine.name for engine in verdict.engines if engine.state is EngineState.FOUND)
    return Answer(Reply(550, "5.7.1", f"canary {nonce} refused, {FOUND} {found}"))


def expected(site: Site) -> frozenset[str]:
    """The engines that must find the test file in a canary."""
    return frozenset(
        name
        for name, engine in site.engines.items()
        if engine.enabled and engine.role == "required" and (engine.kind or name) in ANTIVIRUS and len(engine.directions) == len(DIRECTIONS)
    )


def wrong(sent: Sent, code: int, text: str, engines: Iterable[str], *, direct: bool) -> str:
    """What is wrong with the answer to a canary, "" when it is as it must be. Not `direct`: an MTA stands between and words success itself."""
    refused = 500 <= code < 600  # noqa: PLR2004 RFC 5321 4.2.1
    ours = sent.nonce in text
    if not sent.infected:
        return "" if code == 250 and (ours or not direct) else f"clean mail is not taken: {code} {text}"  # noqa: PLR2004
    if not refused and code < 400:  # noqa: PLR2004
        return f"a virus was not stopped: {code} {text}"
    if not refused or not ours:
        return f"a virus was refused, but not by the scan: {code} {text}"
    silent = sorted(set(engines) - set(text.rpartition(FOUND)[2].split()))
    return f"the test virus was not found by {', '.join(silent)}" if silent else ""


def has_way(site: Site) -> bool:
    """Whether a canary can be sent: to our own SMTP listener, or through an MTA."""
    return bool(site.mail.smtp.listen or site.canary.through)
