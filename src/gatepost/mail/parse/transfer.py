"""Content-Transfer-Encoding as written: which decoder a value names, and the plain result of each (RFC 2045 section 6).

What it does: decodes a body that is sound, fast, and says when it is not sound.
Not its job: the other results of a body that is not sound (`lenient`).
Raises: nothing.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from enum import StrEnum

import pybase64

from gatepost.mail.parse import legacy
from gatepost.mail.parse.lenient import join_bits


class Encoding(StrEnum):
    """The decoders that there are; IDENTITY is 7bit, 8bit, binary (RFC 2045 6.2), the last four come from before MIME."""

    IDENTITY = "identity"
    BASE64 = "base64"
    QUOTED = "quoted-printable"
    UU = "uuencode"
    YENC = "yenc"
    BINHEX = "binhex"
    UNKNOWN = "unknown"


NAMED = {
    b"": Encoding.IDENTITY,
    b"7bit": Encoding.IDENTITY,
    b"8bit": Encoding.IDENTITY,
    b"binary": Encoding.IDENTITY,
    b"base64": Encoding.BASE64,
    b"quoted-printable": Encoding.QUOTED,
    b"x-uuencode": Encoding.UU,
    b"uuencode": Encoding.UU,
    b"x-uue": Encoding.UU,
    b"uue": Encoding.UU,
    b"x-uu": Encoding.UU,
    b"x-yencode": Encoding.YENC,
    b"yencode": Encoding.YENC,
    b"x-yenc": Encoding.YENC,
    b"mac-binhex40": Encoding.BINHEX,
    b"x-binhex40": Encoding.BINHEX,
}
# Written by honest senders for "not encoded" (benign cases, list archives); they name no decoder in any reader.
HARMLESS = frozenset(
    {b"7-bit", b"8-bit", b"7bits", b"8bits", b"utf-8", b"us-ascii", b"ascii", b"none", b"7 bit", b"8 bit", b"iso-8859-1", b"plain", b"text"}
)

_BAD_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")


def named(value: bytes) -> Encoding:
    """The decoder that a value names when it is written soundly."""
    token = value.strip().lower()
    return Encoding.IDENTITY if token in HARMLESS else NAMED.get(token, Encoding.UNKNOWN)


def _base64(body: bytes) -> tuple[bytes, bool]:
    for letters in (body.replace(b"\r\n", b""), body.translate(None, b" \t\r\n")):
        try:
            return pybase64.b64decode(letters, validate=True), True
        except (binascii.Error, ValueError):
            continue
    return join_bits(body.partition(b"=")[0]), False


def _quoted(body: bytes) -> tuple[bytes, bool]:
    if b"=" not in body:
        return body, True
    return binascii.a2b_qp(body), not _BAD_QUOTED.search(body)


def _legacy(decode: Callable[[bytes], Iterator[legacy.File]]) -> Callable[[bytes], tuple[bytes, bool]]:
    def run(body: bytes) -> tuple[bytes, bool]:
        found = decode(body)
        first = next(found, None)
        return (first.data, next(found, None) is None) if first else (body, False)

    return run


_DECODERS: dict[Encoding, Callable[[bytes], tuple[bytes, bool]]] = {
    Encoding.BASE64: _base64,
    Encoding.QUOTED: _quoted,
    Encoding.UU: _legacy(legacy.uuencoded),
    Encoding.YENC: _legacy(legacy.yencoded),
    Encoding.BINHEX: _legacy(legacy.binhexed),
}


def decode(encoding: Encoding, body: bytes) -> tuple[bytes, bool]:
    """The plain content of a body, and whether the body is sound (every reader gets the same)."""
    decoder = _DECODERS.get(encoding)
    return decoder(body) if decoder else (body, encoding is Encoding.IDENTITY)
