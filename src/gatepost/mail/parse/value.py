"""Values of structured header fields: media type and parameters, as written and as every reader could take them.

What it does: reads the sound form of RFC 2045 5.1 with one pattern; for any other form gives every value that a parameter can have.
Not its job: finding fields (`header`); judging values.
Raises: nothing.
Sources: RFC 2045 5.1, RFC 2231 3 and 4, RFC 5322 3.2; the deviations are rows of `quirks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from gatepost.mail.parse import words

_SIMPLE = re.compile(
    rb"\s*+([\w.+-]++(?:/[\w.+-]++)?)[ \t]*+"
    rb"((?:;\s*+(?:[\w-]++=(?:\"[^\"\\\r\n]*+\"|[^\s;\"()\\',]++)[ \t]*+)?+)*+)\s*+\Z"
)
_SIMPLE_PARAMETER = re.compile(rb"([\w-]+)=(?:\"([^\"]*)\"|([^\s;\"]+))")
_TYPE = re.compile(rb"[^\w.+-]*([\w.+-]+)\s*(?:/\s*([\w.+-]*))?")
_QUOTED = re.compile(rb"\"((?:[^\"\\]|\\[\s\S])*+)\"")
_COMMENT = re.compile(rb"\([^()]*+(?:\)|\Z)")
_ASSIGNMENT = re.compile(rb"(?<![\w-])([\w-]++)(\*(?:\d++\*?)?)?\s*+=\s*+")
_PAIR = re.compile(rb"\\([\s\S])")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_COMMENT_DEPTH = 8
_ASSIGNMENTS = 4000
_SECTIONS = 200
_LONGEST = 8192
_REPEATS = 32


class Value(NamedTuple):
    """A field value in its plain reading.

    `token` stands before the first semicolon, in lower case; `parameters` holds the first of each; `sound` says that it is written
    so that no reader can take it otherwise.
    """

    token: bytes
    parameters: dict[bytes, bytes]
    sound: bool


def parse(value: bytes) -> Value:
    """The plain reading of a field such as Content-Type or Content-Disposition."""
    match = _SIMPLE.match(value)
    if not match:
        return _tolerant(value)
    found: dict[bytes, bytes] = {}
    pairs = _SIMPLE_PARAMETER.findall(match[2])
    for key, quoted, bare in pairs:
        found.setdefault(key.lower(), quoted or bare)
    return Value(
        match[1].lower(), found, len(found) == len(pairs) and not any(b"=?" in quoted or b"=?" in bare for _, quoted, bare in pairs)
    )


def without_comments(value: bytes) -> bytes:
    """The value with comments removed outside quoted strings, nested ones too, and one that never closes (RFC 5322 3.2.2)."""
    kept: list[bytes] = []

    def keep(match: re.Match[bytes]) -> bytes:
        kept.append(match[0])
        return b'"%d"' % (len(kept) - 1)

    if b"(" not in value:
        return value
    masked = _QUOTED.sub(keep, value)
    for _ in range(_COMMENT_DEPTH):
        masked, count = _COMMENT.subn(b"", masked)
        if not count:
            break
    return re.sub(rb'"(\d+)"', lambda match: kept[int(match[1])], masked)


def media_type(value: bytes) -> bytes:
    """The media type at the start of a value in lower case, without blanks round the slash; "" when there is none."""
    match = _TYPE.match(value)
    if not match:
        return b""
    return (match[1] + (b"/" + match[2] if match[2] is not None else b"")).lower()


def _tolerant(value: bytes) -> Value:
    plain = words.unfold(without_comments(value))
    found: dict[bytes, bytes] = {}
    sections: dict[bytes, dict[int, list[bytes]]] = {}
    for match in _assignments(plain):
        key, star = match[1].lower(), (match[2] or b"").strip(b"*")
        written = next(_written(plain, match.end()))
        if star:
            sections.setdefault(key, {}).setdefault(int(star[:6]), []).append(written)
        else:
            found.setdefault(key, next(_charset_form(written)) if match[2] else written)
    for key, pieces in sections.items():
        found.setdefault(key, next(_charset_form(next(_joined(pieces)))))
    return Value(media_type(plain), found, sound=False)


def _assignments(value: bytes) -> Iterator[re.Match[bytes]]:
    """Every place outside quoted strings where a parameter is given; at most `_ASSIGNMENTS`."""
    position = 0
    for _ in range(_ASSIGNMENTS):
        match = _ASSIGNMENT.search(value, position)
        if not match:
            return
        quote = value.find(b'"', position, match.start())
        closed = _QUOTED.match(value, quote) if quote >= 0 else None
        if closed and closed.end() > match.start():
            position = closed.end()
            continue
        yield match
        quoted = _QUOTED.match(value, match.end())
        position = quoted.end() if quoted else match.end()


def _written(value: bytes, start: int) -> Iterator[bytes]:
    """What stands after an equals sign, cut in every way that a reader cuts it, the sound way first."""
    rest = value[start : start + _LONGEST]
    quoted = _QUOTED.match(rest)
    if quoted:
        yield _PAIR.sub(rb"\1", quoted[1])
        yield quoted[1]
        yield rest[: rest.find(b";") if b";" in rest else len(rest)].replace(b'"', b"")
    elif rest[:1] == b'"':
        yield _PAIR.sub(rb"\1", rest[1:]).rstrip()
        yield rest[1:].partition(b";")[0].rstrip()
        yield re.split(rb"\s", rest[1:], maxsplit=1)[0]
    else:
        until = rest.partition(b";")[0]
        yield next(iter(until.split(None, 1)), b"")
        yield until.rstrip()
        yield until.replace(b'"', b"").rstrip()
        yield until.partition(b",")[0].rstrip()
        yield until.partition(b"(")[0].rstrip()
        yield rest.rstrip()


def _variants(text: bytes) -> Iterator[bytes]:
    """What readers make of a value once it is cut out."""
    yield text
    yield words.encoded_words(text)
    yield text.replace(b'"', b"")
    yield text.strip()
    yield text.strip(b"'")
    yield _PAIR.sub(rb"\1", text)
    yield words.unfold(text)
    yield re.sub(rb"\r*\n[ \t]*", b"", text)
    yield without_comments(text)
    if _CONTROL.search(text):
        yield _CONTROL.split(text, maxsplit=1)[0]
        yield _CONTROL.sub(b"", text)


def _charset_form(text: bytes) -> Iterator[bytes]:
    """An extended value (RFC 2231 4): charset and language before two apostrophes, then percent escapes."""
    charset, mark, tail = text.partition(b"'")
    if mark and b"'" in tail:
        plain = words.percent(tail.partition(b"'")[2])
        yield words.text(plain, charset.decode("latin-1")).encode("utf-8", "surrogatepass")
        yield plain
    yield words.percent(text)


def _joined(sections: dict[int, list[bytes]]) -> Iterator[bytes]:
    """Continuations (RFC 2231 3) in order of number: all, and those before the first gap."""
    order = sorted(sections)[:_SECTIONS]
    for pick in (0, -1):
        yield b"".join(sections[number][pick] for number in order)
    run = [number for position, number in enumerate(order) if number == position]
    yield b"".join(sections[number][0] for number in run)


def _spellings(value: bytes, key: bytes) -> Iterator[bytes]:
    """Each spelling of a parameter; inside quoted strings too, since some readers do not see the quotes."""
    sections: dict[int, list[bytes]] = {}
    given = re.finditer(rb"(?<![\w-])" + key + rb"(\*(?:\d++\*?)?)?\s*+=\s*+", value, re.IGNORECASE)
    for match in islice(given, _REPEATS):
        star = match[1] or b""
        written = list(_written(value, match.end()))
        if star.strip(b"*"):
            sections.setdefault(int(star.strip(b"*")[:6]), []).append(written[0])
        elif star:
            for text in written:
                yield from _charset_form(text)
        yield from written
    if sections:
        for text in _joined(sections):
            yield from _charset_form(text)
            yield text


def candidates(values: Iterable[bytes], key: bytes) -> list[bytes]:
    """Every value that a reader could take for the parameter `key`, the plain one first; empty when it is not there."""
    found: dict[bytes, None] = {}
    for value in values:
        for text in _spellings(value, key):
            found.update(dict.fromkeys(_variants(text)))
    return list(found)


def given(value: bytes, key: bytes) -> set[bytes]:
    """The different plain values that one field gives a parameter in different places; continuations count as one."""
    written = [match for match in _assignments(value) if match[1].lower() == key]
    plain = {next(_written(value, match.end())) for match in written if not match[2]}
    extended = {next(_charset_form(next(_written(value, match.end())))) for match in written if match[2] == b"*"}
    return plain | extended | {b"*" for match in written if (match[2] or b"").strip(b"*")}
