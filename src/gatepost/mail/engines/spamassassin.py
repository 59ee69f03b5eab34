"""SpamAssassin by its daemon's protocol, spamd(8): points for spam, with the rules that gave them.

What it does: sends the mail, headed by the trace fields that the MTA will only write later, and reads the score.
Not its job: from how many points a mail is tagged or held (the policy).
Raises: `EngineError` for anything but an exact score.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import formatdate

from gatepost.mail.engines.options import Options
from gatepost.mail.engines.reply import Whole, parse
from gatepost.mail.engines.wire import Address, Wire
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message

DEFAULT_SOCKET = "tcp:127.0.0.1:783"
MAX_SIZE = 512_000
_REPLY_LIMIT = 256 * 1024
_INFO_SECONDS = 5.0
_SPAM = re.compile(r"(?:True|False|Yes|No) ; (?P<score>-?\d{1,9}(?:\.\d{1,9})?) / -?\d{1,9}(?:\.\d{1,9})?")
_UNSAFE = re.compile(r"[^\x21-\x7e]")


class Spamassassin:
    """The engine `spamassassin`. Options: `socket`, `user` (whose settings count), `least` (points from which a finding is made), `max_size`.

    Of a mail larger than `max_size` bytes the beginning is scored: spam shows there, and its rules are slow.
    """

    local = False

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        self._address = Address.parse(given.text("socket", DEFAULT_SOCKET))
        self._user = given.text("user", "")
        self._least = given.number("least", 0.1, -1000)
        self._max_size = given.size("max_size", MAX_SIZE)
        given.done()

    def info(self) -> EngineInfo:
        """Ask whether it lives; spamd does not say which SpamAssassin it is."""
        reply = self._ask("PING", b"", time.monotonic() + _INFO_SECONDS)
        if b"PONG" not in reply:
            raise EngineError(f"spamd answered {reply[:80]!r} to PING")
        return EngineInfo("SpamAssassin")

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Have the mail scored."""
        mail = trace(envelope) + bytes(message.raw[: self._max_size])
        score, rules = parse_score(parse(self._ask("SYMBOLS", mail, deadline), "SPAMD"))
        if score < self._least:
            return ()
        return (Finding(Kind.SPAM, "spam-score", "", self.name, ", ".join(rules), score),)

    def _ask(self, verb: str, mail: bytes, deadline: float) -> bytes:
        user = f"User: {self._user}\r\n" if self._user else ""
        with Wire(self._address, deadline) as wire:
            wire.send(f"{verb} SPAMC/1.5\r\nContent-length: {len(mail)}\r\n{user}\r\n".encode(), mail)
            wire.finish()  # spamd reads lines: a mail without a last line end would keep it waiting
            return wire.rest(_REPLY_LIMIT)


def parse_score(reply: Whole) -> tuple[float, tuple[str, ...]]:
    """Read points and rules of an answer to SYMBOLS. Raises EngineError."""
    match = _SPAM.fullmatch(reply.head.fields.get("spam", ""))
    if reply.head.code or match is None:
        raise EngineError(f"spamd answered {reply.head.code} {reply.head.reason} without a score")
    rules = reply.body.decode("utf-8", "replace").strip().split(",")
    return float(match["score"]), tuple(rule for rule in rules if rule)


def trace(envelope: Envelope) -> bytes:
    """Write the fields that tell rules about the sender and the last hop, as the MTA will later (RFC 5321 4.4)."""
    if not envelope.client:
        return b""
    name, helo, sender = (_UNSAFE.sub("?", text) for text in (envelope.client_name, envelope.helo, envelope.sender))
    client = _UNSAFE.sub("?", envelope.client)
    return (
        f"X-Envelope-From: <{sender}>\r\n"
        f"Received: from {helo or 'unknown'} ({name or 'unknown'} [{client}])\r\n"
        f"\tby localhost (Gatepost) with ESMTP; {formatdate(envelope.received)}\r\n"
    ).encode()
