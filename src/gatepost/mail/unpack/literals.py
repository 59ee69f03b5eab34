"""Bytes written out in a text: base64, hexadecimal, number lists, escapes, data: links.

What it does: decodes every long literal of a page, script or letter in each way a script would, and keeps what makes sense.
Not its job: judging the text round it (`html`).
Raises: what `tick` raises.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from itertools import chain
from urllib.parse import unquote_to_bytes

import pybase64

from gatepost.mail.unpack.filetype import identify, is_text, may_have_magic

_LEAST = 24
_SHORTEST = 16  # nothing dangerous is so short
_BRIEF = 128  # shorter than the least archive with a file in it
_MOSTLY = 0.9
_ASCII = bytes(range(128))
_WEAK = frozenset(
    {"arj", "bmp", "mp3", "cpio", "pgp-binary", "dos-exe", "compress", "lzma", "flash", "fat", "mbr", "ext"}
)  # so little magic that noise has it
_LITERALS_MOST = 2000
_TICK_MASK = 255
_DATA_LINK = re.compile(rb"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.+-]+)*?)(;base64)?,([^\"'<>()]{8,})", re.IGNORECASE)
_LITERAL = re.compile(rb"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`([^`]*)`")
_JOINTS = frozenset({b"+", b","})
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,3}\Z")
_HEX = re.compile(rb"(?:0x)?[0-9A-Fa-f]{24,}\Z")
# Possessive, since a repeat that may go back remembers every step.
_NUMBERS = re.compile(rb"(?:(?:0x[0-9a-f]{1,2}|\d{1,3})\s*,\s*){15,}+(?:0x[0-9a-f]{1,2}|\d{1,3})?", re.IGNORECASE)
_NUMBER = re.compile(rb"0x[0-9a-f]{1,2}|\d{1,3}", re.IGNORECASE)
_ESCAPED = re.compile(rb"(?:\\x[0-9a-f]{2}|%[0-9a-f]{2}|\\u00[0-9a-f]{2}|%u[0-9a-f]{4}){8,}+", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})|%([0-9a-f]{2})|\\u00([0-9a-f]{2})|%u([0-9a-f]{4})", re.IGNORECASE)
_WHITE = b" \t\r\n\\"
_BASE64_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LONG_RUN, _LONG_LIST, _LONG_ESCAPES, _LONG_PAIRS = 48, 30, 24, 96


def _mask(letters: bytes) -> bytes:
    """A table that turns `letters` to "A" and all else to a blank."""
    return bytes(65 if byte in letters else 32 for byte in range(256))


_RUN_MASK = _mask(_BASE64_LETTERS)
_LIST_MASK = _mask(b"0123456789abcdefABCDEFxX, \t\r\n")
_ESCAPE_MASK = _mask(b"0123456789abcdefABCDEFxXuU\\%")
_PAIRS_MASK = _mask(b"0123456789abcdefABCDEF \t\r\n:,")
# The first branch takes what is too long for a group in one step.
_PAIRS = re.compile(rb"[0-9A-Fa-f]{9,}+|((?:[0-9A-Fa-f]{2,8}+[ \t\r\n:,]{1,4}+){32,}+[0-9A-Fa-f]{0,8})")
_NEXT_LINE = re.compile(rb"[ \t]*\r?\n?[ \t>]*[A-Za-z0-9+/]{4,}={0,2}(?=[ \t\r\n\"'<]|\Z)|={1,2}")


def _runs(text: bytes, mask: bytes, least: int) -> Iterator[tuple[int, int]]:
    """Where at least `least` bytes of the masked alphabet stand in a row; far quicker than a pattern, and linear."""
    masked = text.translate(mask)
    wanted = b"A" * least
    at = masked.find(wanted)
    while at >= 0:
        stop = masked.find(b" ", at)
        stop = len(text) if stop < 0 else stop
        yield at, stop
        at = masked.find(wanted, stop)


def data_links(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Media type and content of each data: link (RFC 2397)."""
    for match in _DATA_LINK.finditer(text):
        declared = (match[1] or b"text/plain").decode("latin-1").lower()
        body = unquote_to_bytes(match[4])
        yield declared, _base64(body) or b"" if match[3] else body


def decoded(text: bytes, tick: Callable[[], None], *, script: bool) -> Iterator[bytes]:
    """What long literals stand for; with `script` also short ones joined, numbers and escapes."""
    seen: set[bytes] = set()
    sources = _in_script(text, tick) if script else ()
    tried: set[int] = set()
    for literal in chain(sources, _long_runs(text), _pairs(text)):
        if (known := hash(literal)) in tried:
            continue
        tried.add(known)
        if not len(tried) & _TICK_MASK:
            tick()
        for content in _readings(literal):
            if content not in seen and _makes_sense(content):
                seen.add(content)
                yield content
        if len(seen) > _LITERALS_MOST:
            return
    if script:
        for content in chain(_numbers(text), _escapes(text)):
            if content not in seen and _makes_sense(content):
                seen.add(content)
                yield content


def _long_runs(text: bytes) -> Iterator[bytes]:
    """Runs of base64, over line ends; a line that is not base64 ends a run."""
    past = 0
    for start, stop in _runs(text, _RUN_MASK, _LONG_RUN):
        if start < past:
            continue
        past = stop
        while (line := _NEXT_LINE.match(text, past)) is not None:
            past = line.end()
        yield text[start:past]


def _pairs(text: bytes) -> Iterator[bytes]:
    """Hexadecimal digits in groups, as dumps have them and `certutil -decodehex` takes them."""
    for start, stop in _runs(text, _PAIRS_MASK, _LONG_PAIRS):
        for match in _PAIRS.finditer(text, start, stop):
            if match[1]:
                yield match[1].translate(None, b" \t\r\n:,")


def _in_script(text: bytes, tick: Callable[[], None]) -> Iterator[bytes]:
    """Each long literal, and neighbours joined by plus or comma."""
    joined, pieces, end = b"", 0, -1
    for number, match in enumerate(_LITERAL.finditer(text)):
        if not number & 255:
            tick()
        value = match[1] or match[2] or match[3] or b""
        start, stop = match.span()
        near = end >= 0 and start - end < 40 and text[end:start].strip() in _JOINTS  # noqa: PLR2004 - a plus with its blanks
        if near:
            joined, pieces = joined + value, pieces + 1
        else:
            if pieces > 1:
                yield joined
            joined, pieces = value, 1
        if len(value) >= _LEAST:
            yield value
        end = stop
    if pieces > 1:
        yield joined


def _readings(literal: bytes) -> Iterator[bytes]:
    """A literal as base64 or hexadecimal, forwards and backwards."""
    plain = literal.translate(None, _WHITE)
    for text in (plain, plain[::-1]):
        if _HEX.match(text):
            digits = text[2:] if text[:2] == b"0x" else text
            yield bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
        bare = text.lstrip(b"=")
        if _BASE64.match(bare):
            content = _base64(bare)
            if content:
                yield content


def _base64(text: bytes) -> bytes | None:
    body = text.translate(None, _WHITE).rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    body = body[: len(body) - 1] if len(body) % 4 == 1 else body
    try:
        return pybase64.b64decode(body + b"=" * (-len(body) % 4))
    except binascii.Error:
        return None


def _numbers(text: bytes) -> Iterator[bytes]:
    """Lists of byte values."""
    for match in (match for start, stop in _runs(text, _LIST_MASK, _LONG_LIST) for match in _NUMBERS.finditer(text, start, stop)):
        values = bytearray()
        for number in _NUMBER.finditer(text, match.start(), match.end()):
            value = int(number[0], 16 if number[0][:2] in {b"0x", b"0X"} else 10)
            if value > 255:  # noqa: PLR2004 - a byte
                break
            values.append(value)
        else:
            yield bytes(values)


def _escapes(text: bytes) -> Iterator[bytes]:
    """Runs of escaped characters."""
    for match in (match for start, stop in _runs(text, _ESCAPE_MASK, _LONG_ESCAPES) for match in _ESCAPED.finditer(text, start, stop)):
        yield _ESCAPE.sub(_unescaped, match[0])


def _unescaped(match: re.Match[bytes]) -> bytes:
    return int(match[4], 16).to_bytes(2, "little") if match[4] else bytes((int(match[match.lastindex or 1], 16),))


def _makes_sense(content: bytes) -> bool:
    """Whether decoded bytes are more than noise: a known type, or a text, in UTF-16 too."""
    if len(content) < _SHORTEST:
        return False
    if content[1::2].count(0) > _MOSTLY * len(content[1::2]):
        return True
    if len(content) < _BRIEF and not is_text(content) and not may_have_magic(content):
        return False
    kind = identify(content)
    if kind == "pe":
        return b"PE\0\0" in content[:2048] or b"DOS mode" in content[:256]
    if kind not in {"data", "text"}:
        return kind not in _WEAK
    head = content[:256]
    ascii_bytes = len(head) - len(head.translate(None, _ASCII))
    return is_text(content[:4096]) and ascii_bytes > _MOSTLY * len(head)
