"""Base64 and quoted-printable as lenient readers decode them: every result that a broken body can have.

What it does: yields, for one encoded body, each content that some reader would hand out.
Not its job: deciding whether a body is broken (`transfer`), limits on size (the caller spends the budget).
Raises: nothing.
Sources: RFC 2045 6.7 and 6.8 on what decoders may ignore; CVE-2006-6405 and CVE-2004-2619 on foreign characters.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from io import BytesIO
from itertools import islice

import pybase64

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FOREIGN = bytes(set(range(256)) - set(_ALPHABET))
_FOREIGN_BUT_PADDING = _FOREIGN.replace(b"=", b"")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_AS_ZERO = bytes.maketrans(_FOREIGN_BUT_PADDING, b"A" * len(_FOREIGN_BUT_PADDING))
_BLANKS = b" \t\r\n\x0b\x0c\x00"
_LINE = re.compile(rb"[^\r\n]+")
_STRANGE_LINE = re.compile(rb"(?m)^[^\r\n]*[^A-Za-z0-9+/=\s\x00][^\r\n]*$")
_SOFT_BREAK = re.compile(rb"=[ \t\x0b\x0c\x00]*(?:\r+\n|\n|\r|\Z)")
_UNBROKEN = re.compile(rb"[A-Za-z0-9+/]*+={0,2}")
_RUN = re.compile(rb"[^=]++")
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2})")
_SHIFTS = 4
_SHIFTED = 1 << 20
_LINES = 200_000
_LONGEST_REPAIR = 1 << 20


def solid(data: bytes) -> bytes:
    """Decode a run that holds nothing but the 64 letters, whatever its length; up to three letters at the end may be no whole byte."""
    odd = len(data) % 4
    if odd == 1:
        data, odd = data[:-1], 0
    return pybase64.b64decode(data + b"=" * (-odd % 4)) if data else b""


def join_bits(data: bytes) -> bytes:
    """Decode every letter of the alphabet in one stream and ignore all else, padding too (RFC 2045 6.8, "ignored by decoding software")."""
    return solid(data.translate(None, _FOREIGN))


def groups(data: bytes) -> bytes:
    """Decode as many streams, each ended by its padding, glued together."""
    out = bytearray()
    for run in _RUN.finditer(data.translate(None, _FOREIGN_BUT_PADDING)):
        out += solid(run[0])
    return bytes(out)


def lines(data: bytes) -> bytes:
    """Decode each line by itself."""
    out = BytesIO()
    at = 0
    for line in islice(_LINE.finditer(data), _LINES):
        out.write(join_bits(line[0]))
        at = line.end()
    out.write(join_bits(data[at:]))
    return out.getvalue()


def quads(data: bytes) -> bytes:
    """Decode four characters at a time with padding taken as zero bits where it stands, as table-driven decoders do."""
    clean = data.translate(None, _FOREIGN_BUT_PADDING)
    return solid(clean.replace(b"=", b"A"))


def unbroken(data: bytes) -> bool:
    """Say whether nothing but letters stands in the lines, all of one length but the last: cut off perhaps, but the same to every reader."""
    whole = data.strip()
    step = whole.find(b"\n") + 1
    ends = whole[step - 1 :: step] if step else b""
    return ends.count(b"\n") == len(ends) == whole.count(b"\n") and _UNBROKEN.fullmatch(whole.translate(None, b" \t\r\n")) is not None


def base64_readings(data: bytes) -> Iterator[bytes]:
    """Every content that a base64 body can be taken for.

    In this order: until the first padding; each padded stream; each line; without lines that hold
    foreign characters; until the first foreign character; with the two URL-safe letters; with foreign characters as zero; as quads;
    all letters in one stream, and that stream begun one, two or three letters later (junk of unknown length before it).
    """
    if unbroken(data):
        yield solid(data.translate(None, _FOREIGN))
        return
    head, padding, _ = data.partition(b"=")
    if padding:
        yield join_bits(head)
        yield groups(data)
        yield quads(data)
    yield lines(data)
    clean = _STRANGE_LINE.sub(b"", data)
    if clean != data:
        yield join_bits(clean)
        yield groups(clean)
    bare = data.translate(None, _BLANKS)
    foreign = re.search(rb"[^A-Za-z0-9+/=]", bare)
    if foreign:
        yield join_bits(bare[: foreign.start()])
        yield solid(bare.translate(_AS_ZERO, b"="))
    if b"-" in bare or b"_" in bare:
        yield join_bits(data.translate(_URL_SAFE))
    yield from shifted(data)


def shifted(data: bytes) -> Iterator[bytes]:
    """All letters in one stream, and the stream begun one, two or three letters later; of these the first MiB, where a file would begin."""
    letters = data.translate(None, _FOREIGN)
    yield solid(letters)
    for shift in range(1, _SHIFTS):
        yield solid(letters[shift:_SHIFTED])


def _escape(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),)) if match[1] else b""


def quoted_readings(data: bytes) -> Iterator[bytes]:
    """Every content that a quoted-printable body can be taken for (RFC 2045 6.7 rules 3 and 5 and its notes on broken input).

    Blanks after a soft break's equals sign and every kind of line end are taken for a soft break, or not; an equals sign that
    begins no escape stays, goes, or takes the next two characters with it (up to 1 MiB: such a body is damaged text, no file).
    """
    joined = data.replace(b"=\r\n", b"")
    joined = _SOFT_BREAK.sub(b"", joined)
    yield binascii.a2b_qp(joined)
    yield binascii.a2b_qp(data)
    if len(joined) <= _LONGEST_REPAIR and _BAD_ESCAPE.search(joined):
        yield binascii.a2b_qp(_BAD_ESCAPE.sub(b"", joined))
        yield re.sub(rb"=(?:([0-9A-Fa-f]{2})|[^\r\n]{0,2})", _escape, joined)
