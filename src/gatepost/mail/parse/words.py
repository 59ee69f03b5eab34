"""Encoded words (RFC 2047) and percent-encoded parameter values (RFC 2231) as text.

What it does: turns the bytes of a header value into the text that a reader shows.
Not its job: finding headers or parameters (`header`, `value`).
Raises: nothing; what cannot be decoded is shown byte by byte as Latin-1.
"""

from __future__ import annotations

import binascii
import codecs
import re
from functools import lru_cache

from gatepost.mail.parse.lenient import join_bits

# RFC 2047 section 2, with the language suffix of RFC 2231 section 5; blanks are let into the text, since most readers do.
_WORD = re.compile(rb"=\?([^?*\s]*)(?:\*[^?]*)?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_FOLD = re.compile(rb"\r*\n[ \t]?|\r(?=[ \t])")


@lru_cache(maxsize=256)
def codec_name(charset: str) -> str:
    """The name under which Python knows a text charset, "" when it knows none."""
    try:
        "".encode(charset)
        return codecs.lookup(charset).name
    except (LookupError, ValueError, UnicodeError):
        return ""


def text(data: bytes, charset: str = "") -> str:
    """Decode with the charset when it is known, else as UTF-8, else as Latin-1; never fails."""
    for name in (codec_name(charset) if charset else "", "utf-8"):
        if name:
            try:
                return data.decode(name)
            except (UnicodeError, ValueError):
                continue
    return data.decode("latin-1")


def _word(match: re.Match[bytes]) -> bytes:
    charset, encoding, body = match.groups()
    content = join_bits(body) if encoding in b"bB" else binascii.a2b_qp(body, header=True)
    return text(content, charset.decode("latin-1")).encode("utf-8", "surrogatepass")


def encoded_words(value: bytes) -> bytes:
    """The value with every encoded word replaced by what it stands for, in UTF-8, wherever it stands (RFC 2047 section 6.2)."""
    if b"=?" not in value:
        return value
    return _WORD.sub(_word, _BETWEEN.sub(rb"\1", value))


def percent(value: bytes) -> bytes:
    """The value with its percent escapes decoded (RFC 2231 section 4)."""
    return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), value)


def unfold(value: bytes) -> bytes:
    """The value on one line (RFC 5322 section 2.2.3): line ends go, one blank of the fold stays."""
    return _FOLD.sub(b" ", value).strip(b" \t\r\n") if b"\n" in value or b"\r" in value else value.strip(b" \t")


def shown(value: bytes) -> str:
    """The text of an unstructured header value such as a subject, as a mail client shows it."""
    return text(encoded_words(unfold(value)))
