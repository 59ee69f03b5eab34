"""rspamd by HTTP (/checkv2): points for spam, with the symbols that gave them.

What it does: sends the mail with what is known of its envelope in header fields, and reads the score.
Not its job: from how many points a mail is tagged or held (the policy); rspamd's own action is told but not obeyed.
Raises: `EngineError` for anything but an exact score.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import msgspec

from gatepost.mail.engines.options import Options
from gatepost.mail.engines.reply import Whole, parse
from gatepost.mail.engines.wire import Address, Wire
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message

DEFAULT_SOCKET = "tcp:127.0.0.1:11333"
_REPLY_LIMIT = 4 * 1024 * 1024
_INFO_SECONDS = 5.0
_OK = 200
_REJECT = "reject"  # a rule that ends the check with this leaves no points: the mail then counts as if it had enough
_SYMBOLS_SHOWN = 20
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class _Symbol(msgspec.Struct):
    score: float = 0.0


class _Checked(msgspec.Struct):
    """What is read of an answer; the rest is not looked at."""

    score: float
    action: str
    required_score: float = 15.0
    symbols: dict[str, _Symbol] = {}
    is_skipped: bool = False


_DECODER = msgspec.json.Decoder(_Checked)


class Rspamd:
    """The engine `rspamd`. Options: `socket` (of a normal worker), `password`, `least` (points from which a finding is made)."""

    local = False

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        self._address = Address.parse(given.text("socket", DEFAULT_SOCKET))
        self._password = given.text("password", "")
        self._least = given.number("least", 0.1, -1000)
        given.done()

    def info(self) -> EngineInfo:
        """Ask whether it lives, and which version it is."""
        reply = parse(self._ask("GET /ping", (), b"", time.monotonic() + _INFO_SECONDS), "HTTP")
        if reply.body.strip() != b"pong":
            raise EngineError(f"rspamd answered {reply.body[:80]!r} to /ping")
        return EngineInfo(reply.head.fields.get("server", "rspamd").replace("/", " "))

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Have the mail scored."""
        reply = self._ask("POST /checkv2", _about(envelope), message.raw, deadline)
        checked = parse_checked(parse(reply, "HTTP"))
        score = max(checked.score, checked.required_score) if checked.action == _REJECT else checked.score
        if score < self._least:
            return ()
        return (Finding(Kind.SPAM, "spam-score", "", self.name, _reasons(checked), score),)

    def _ask(self, line: str, fields: tuple[tuple[str, str], ...], body: bytes | memoryview, deadline: float) -> bytes:
        given = [("Host", "localhost"), ("Connection", "close"), ("Content-Length", str(len(body))), ("Password", self._password), *fields]
        head = "".join(f"{name}: {_UNSAFE.sub('', value)}\r\n" for name, value in given if value)
        with Wire(self._address, deadline) as wire:
            wire.send(f"{line} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape"), body)
            return wire.rest(_REPLY_LIMIT)


def parse_checked(reply: Whole) -> _Checked:
    """Read an answer to /checkv2. Raises EngineError."""
    if reply.head.code != _OK:
        raise EngineError(f"rspamd answered {reply.head.code} {reply.head.reason}")
    try:
        checked = _DECODER.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EngineError(f"rspamd's answer is not understood: {error}") from error
    if checked.is_skipped and checked.action != _REJECT:
        raise EngineError("rspamd skipped this mail: its settings exempt it, or another of its rules ended the check")
    return checked


def _about(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    return (
        ("From", envelope.sender),
        *(("Rcpt", recipient) for recipient in envelope.recipients),
        ("IP", envelope.client),
        ("Hostname", envelope.client_name),
        ("Helo", envelope.helo),
        ("User", envelope.user),
        ("Queue-Id", envelope.queue_id),
    )


def _reasons(checked: _Checked) -> str:
    weighty = sorted(checked.symbols.items(), key=lambda item: -abs(item[1].score))[:_SYMBOLS_SHOWN]
    symbols = ", ".join(f"{name} {symbol.score:+g}" for name, symbol in weighty if symbol.score)
    return f"rspamd would {checked.action}: {symbols}" if symbols else f"rspamd would {checked.action}"
