"""The release token: lets a released mail pass exactly the rules that the administrator saw, and nothing else.

What it does: writes a signed field `X-Gatepost-Release` to stand right before a released mail, and recognises it when the mail comes by
once more on its way through the relay. It is bound to the mail's bytes, one recipient, the findings with their rules, and a time.
Not its job: releasing (`quarantine`), taking the field out again before delivery (`receipt.strip_forged` does).
Raises: nothing: a token that does not hold is no token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatepost.mail.decide.policy import Pass
from gatepost.mail.model import Buffer, Kind

FIELD = b"X-Gatepost-Release"
TRACE = frozenset({b"received", b"return-path", b"delivered-to", b"x-original-to"})
"""Fields that a relay puts before a mail and that no reader takes for content; any other before the token makes it worthless."""
LEADING = 65_536
SIGNATURE = 64
_FOLD = 72


class Token(msgspec.Struct, frozen=True):
    """What a token lets pass: findings as (rule, kind, name), until `until` (seconds since the epoch)."""

    id: str
    digest: str
    recipient: str
    passes: tuple[tuple[str, str, str], ...]
    until: int

    def allows(self, recipient: str) -> frozenset[Pass]:
        """What may pass for `recipient`."""
        if recipient.lower() != self.recipient:
            return frozenset()
        return frozenset(Pass(rule, Kind(kind), name) for rule, kind, name in self.passes)


def token_field(identifier: str, digest: str, recipient: str, passes: Iterable[Pass], until: float, key: Ed25519PrivateKey) -> bytes:
    """The header field to stand right before the bytes of a released mail."""
    wanted = tuple(sorted((one.rule, str(one.kind), one.name) for one in passes))
    body = msgspec.json.encode(Token(identifier, digest, recipient.lower(), wanted, int(until)))
    text = base64.b64encode(key.sign(body) + body)
    lines = [text[at : at + _FOLD] for at in range(0, len(text), _FOLD)]
    return FIELD + b": " + b"\r\n ".join(lines) + b"\r\n"


def released(raw: Buffer, key: Ed25519PublicKey, now: float) -> Token | None:
    """The token of a mail, if it has one that holds: first but for trace fields, signed by us, in time, and right before the very bytes it is for."""
    end, value = _find(bytes(raw[:LEADING]))
    token = _read(value, key) if value else None
    if token is None or token.until < now:
        return None
    return token if hashlib.sha256(raw[end:]).hexdigest() == token.digest else None


_LINES = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")


def _find(head: bytes) -> tuple[int, bytes]:
    """Where the field of the token ends, and its value; (0, b"") when there is none."""
    at = 0
    while match := _LINES.match(head, at):
        at = match.end()
        name = match[1].lower()
        if name == FIELD.lower():
            return at, match[2]
        if name not in TRACE:
            break
    return 0, b""


def _read(value: bytes, key: Ed25519PublicKey) -> Token | None:
    try:
        text = base64.b64decode(b"".join(value.split()), validate=True)
        key.verify(text[:SIGNATURE], text[SIGNATURE:])
        fields: Any = msgspec.json.decode(text[SIGNATURE:], type=Token)
    except (InvalidSignature, binascii.Error, msgspec.MsgspecError, ValueError):
        return None
    return fields if isinstance(fields, Token) else None
