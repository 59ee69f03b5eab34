"""What other readers see: the functions behind the rows of `quirks`, each small and pure.

What it does: from bytes (or fields) to the bytes (or fields) that one kind of reader sees instead.
Not its job: which of them apply when (`quirks`), and walking what comes out (`union`).
Raises: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain, permutations
from typing import NamedTuple

from gatepost.mail.parse import header, legacy, transfer, value, words
from gatepost.mail.parse.lenient import base64_readings, quoted_readings, shifted, unbroken
from gatepost.mail.parse.structure import delimiters
from gatepost.mail.parse.transfer import Encoding

Fields = header.Content

BARE_CR = re.compile(rb"\r(?!\n)")
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_CRS = 8
_STRETCH = 1 << 20  # bytes of which the lines are taken apart at a time: a line costs more memory than it has bytes
_ENDS_BLANK = bytes.maketrans(b"\r\n", b"  ")
_CONTROLS = bytes((*range(9), 11, 12, *range(14, 32), 127))
_BLANK_CONTROLS = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


class Place(NamedTuple):
    """A header block and the body that some reader sees after it."""

    block: bytes
    body: bytes


# --- whole mail


def mixed_ends(mail: bytes) -> bool:
    """Say whether lines end in more than one way."""
    if b"\r" not in mail:
        return False
    rest = mail.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def _to_usual(lines: bytes, mail: bytes) -> bytes:
    """Give lines that end in LF the line end that most lines of the mail have, so that those stay as they are."""
    return lines.replace(b"\n", b"\r\n") if 2 * mail.count(b"\r\n") > mail.count(b"\n") else lines


def to_lf(mail: bytes) -> bytes:
    """Up to eight CRs and their LF, or a lone CR, become LF."""
    for _ in range(_CRS):
        if b"\r\n" not in mail:
            break
        mail = mail.replace(b"\r\n", b"\n")
    return mail.replace(b"\r", b"\n")


def one_line_end(mail: bytes) -> bytes:
    """Any run of CRs and its LF, or a lone CR, becomes the usual line end."""
    return _to_usual(to_lf(mail), mail)


def each_line_end(mail: bytes) -> bytes:
    """CRLF, CR and LF each become the usual line end."""
    return _to_usual(mail.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), mail)


def only_crlf(mail: bytes) -> bytes:
    """A CR or LF that is not in a CRLF becomes a blank; a mail without CRLF stays."""
    if b"\r\n" not in mail:
        return mail
    out = BytesIO()
    at = 0
    while (end := mail.find(b"\r\n", at + _STRETCH)) >= 0:
        out.write(_blank_but_crlf(mail[at:end]) + b"\r\n")
        at = end + 2
    out.write(_blank_but_crlf(mail[at:]))
    return out.getvalue()


def _blank_but_crlf(mail: bytes) -> bytes:
    return b"\r\n".join(line.translate(_ENDS_BLANK) for line in mail.split(b"\r\n"))


def without_nul(mail: bytes) -> bytes:
    """NULs go."""
    return mail.replace(b"\x00", b"")


def control_blank(mail: bytes) -> bytes:
    """Control characters other than tab and line ends become blanks."""
    return mail.translate(_BLANK_CONTROLS)


def without_mark(mail: bytes) -> bytes:
    """A UTF-8 byte order mark at the start goes."""
    return mail.removeprefix(b"\xef\xbb\xbf")


def without_leading_blank(mail: bytes) -> bytes:
    """Blanks and blank lines at the start go."""
    return mail.lstrip()


# --- end of a header

_PADDED = re.compile(rb"\n[ \t\r\x0b\x0c\x00]*\n")
_FIELD_LINES = re.compile(rb"(?:(?:[!-9;-~\x80-\xff][^:\r\n\x00]{0,200}:|[ \t]|>?From )[^\n]*\n)*")
_FIELD_LINE = re.compile(rb"[!-9;-~]+[ \t]*:")
_LATER = re.compile(rb"(?i)\s*+(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?content-[a-z-]+[ \t]*:")


def after_blank_lines(entity: bytes) -> Iterator[Place]:
    """The header begins after the blank lines at the start, when a field stands there."""
    rest = entity.lstrip()
    if _FIELD_LINE.match(rest):
        place = header.frame(rest, 0, len(rest))
        yield Place(rest[: place.end], rest[place.body :])


def padded_blank(entity: bytes) -> Iterator[Place]:
    """The header ends at the first line that looks blank."""
    match = _PADDED.search(entity[: header.LONGEST])
    if match:
        yield Place(entity[: match.start() + 1], entity[match.end() :])


def first_no_field(entity: bytes) -> Iterator[Place]:
    """The header ends at the first line that has no colon and is no continuation, unless it is blank; that line may be data or not."""
    match = _FIELD_LINES.match(entity, 0, header.LONGEST)
    rest = entity[match.end() :] if match else b""
    first, _, others = rest.partition(b"\n")
    if match and first.strip():
        yield Place(match[0], rest)
        yield Place(match[0], others)


def later_fields(entity: bytes) -> Iterator[Place]:
    """The header goes on after its first blank line."""
    place = header.frame(entity, 0, len(entity))
    body = entity[place.body :]
    if _LATER.match(body, 0, header.LONGEST):
        rest = body.lstrip()
        later = header.frame(rest, 0, len(rest))
        yield Place(entity[: place.end] + rest[: later.end], rest[later.body :])


def no_header(entity: bytes) -> Iterator[Place]:
    """All is body."""
    yield Place(b"", entity)


def framed_oddly(entity: bytes) -> bool:
    """Say whether a reader could take the header for a part of the body: not every line of it is a field, or no blank line ends it."""
    place = header.frame(entity, 0, len(entity))
    return place.body >= len(entity) or not header.sound(entity[place.start : place.end])


# --- fields of a header


def any_field(block: bytes) -> Fields:
    """All soundly written content fields."""
    return header.content(block)


_ODD_NAME = re.compile(
    rb"(?:^|(?<=\n))[^a-z\n]{0,64}+content[^a-z\n:]{0,8}(type|transfer[^a-z\n:]{0,8}encoding|disposition|description)"
    rb"(?![a-z])[^:\n]{0,256}?:+([^\n]*+(?:\n[ \t][^\n]*+)*+)"
)


def _gather(block: bytes, *, folded: bool) -> Fields:
    found = Fields([], [], [], [])
    for match in _ODD_NAME.finditer(block.lower()):
        raw = block[match.start(2) : match.end(2)]
        text = raw if folded else raw.partition(b"\n")[0]
        name = match[1]
        rows = (
            found.encodings
            if name.startswith(b"tr")
            else {b"ty": found.types, b"di": found.dispositions, b"de": found.descriptions}[name[:2]]
        )
        rows.append(text.strip())
    return found


def odd_names(block: bytes) -> Fields:
    """Content fields whose names carry anything but letters round them."""
    return _gather(block, folded=True)


def cut_folds(block: bytes) -> Fields:
    """Content fields cut at their first line end."""
    return _gather(block, folded=False)


# --- value of a field


def without_comments(text: bytes) -> bytes:
    """Comments go."""
    return value.without_comments(text)


def brackets_blank(text: bytes) -> bytes:
    """Brackets become blanks."""
    return text.replace(b"(", b" ").replace(b")", b" ")


def encoded_words(text: bytes) -> bytes:
    """Encoded words are decoded."""
    return words.encoded_words(text)


def without_quotes(text: bytes) -> bytes:
    """Quotation marks go."""
    return text.translate(None, b"\"'")


def without_backslash(text: bytes) -> bytes:
    """Backslashes go."""
    return text.replace(b"\\", b"")


def cut_at_control(text: bytes) -> bytes:
    """The value ends at the first control character."""
    return CONTROL.split(text, maxsplit=1)[0]


_DROPPED = bytes((*range(9), 11, 12, *range(14, 32), *range(127, 256)))


def without_control(text: bytes) -> bytes:
    """Control characters and 8-bit bytes go."""
    return text.translate(None, _DROPPED)


def comma_semicolon(text: bytes) -> bytes:
    """Commas become semicolons."""
    return text.replace(b",", b";")


_BLANK_ASSIGNMENT = re.compile(rb"([^\s;,=])\s++(?=[\w*-]+\s*=)")


def blank_semicolon(text: bytes) -> bytes:
    """A semicolon is put before each parameter."""
    return _BLANK_ASSIGNMENT.sub(rb"\1; ", text)


def glued_folds(text: bytes) -> bytes:
    """Folds go with their blanks."""
    return re.sub(rb"\r*\n[ \t]+", b"", text)


# --- delimiters


def exact_all(body: bytes, boundaries: tuple[bytes, ...]) -> Iterator[bytes]:
    """Everything between exact delimiters of one boundary, before the first and after the closing one too."""
    for boundary in boundaries:
        position = 0
        for before, after, _ in delimiters(body, 0, len(body), boundary):
            yield body[position:before]
            position = after
        if position:
            yield body[position:]


def _pieces(text: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    position = 0
    for match in pattern.finditer(text):
        yield text[position : match.start()]
        position = match.end()
    yield text[position:]


def _between(body: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """What stands between matches of a pattern that starts with the line end before a delimiter line."""
    text = b"\n" + body
    if pattern.search(text):
        at = 0
        for start, after in chain((match.span() for match in pattern.finditer(text)), ((len(text), 0),)):
            yield text[at + 1 : start - text.endswith(b"\r", at + 1, start)]
            at = after


def loose(body: bytes, boundaries: tuple[bytes, ...]) -> Iterator[bytes]:
    """Everything between lines that start with any of the boundaries: each of them alone, then all together."""
    usable = [re.escape(boundary) for boundary in boundaries if boundary and b"\n" not in boundary]
    for choice in dict.fromkeys((*usable, b"|".join(usable))):
        if choice:
            yield from _between(body, re.compile(rb"\n[ \t>]*--(?:" + choice + rb")[^\n]*"))


_GUESSED = re.compile(rb"\n[ \t]*--[^\n]*")


def guessed(body: bytes, _boundaries: tuple[bytes, ...]) -> Iterator[bytes]:
    """Everything between lines that start with two dashes."""
    return _between(body, _GUESSED)


# --- decoding


def base64_all(body: bytes) -> Iterator[bytes]:
    """Every content that a base64 body can have."""
    return base64_readings(body)


def quoted_all(body: bytes) -> Iterator[bytes]:
    """Every content that a quoted-printable body can have."""
    return quoted_readings(body)


def uu_readings(body: bytes) -> Iterator[bytes]:
    """Files in the body, and its lines without begin and end."""
    yield from (file.data for file in legacy.files(body))
    yield legacy.uu_rows(body)
    yield legacy.xx_rows(body)


def yenc_readings(body: bytes) -> Iterator[bytes]:
    """YEnc files in the body."""
    return (file.data for file in legacy.yencoded(body))


def binhex_readings(body: bytes) -> Iterator[bytes]:
    """BinHex files in the body."""
    return (file.data for file in legacy.binhexed(body))


_LETTERS = re.compile(rb"(?:[A-Za-z0-9+/]\s?){24}")
_ESCAPES = re.compile(rb"(?:=[0-9A-Fa-f]{2}[^=]{0,40}){4}")
_UU_LINES = re.compile(rb"(?:^|(?<=\n))(?:M[ -`]{60,61}\r?\n|[!-M][ -`]{4,60}[ \r\n`]*\Z)")


def guessed_readings(body: bytes) -> Iterator[bytes]:
    """The body in every encoding that it looks like."""
    if _LETTERS.search(body):
        yield from base64_readings(body)
    if _ESCAPES.search(body):
        yield from quoted_readings(body)
    if _UU_LINES.search(body):
        yield legacy.uu_rows(body)
    if legacy.hinted(body):
        yield from (file.data for file in legacy.files(body))


def in_turn(body: bytes, encodings: tuple[Encoding, ...]) -> Iterator[bytes]:
    """The body decoded twice, by each two of the encodings in both orders."""
    for first, second in permutations(encodings, 2):
        once, _ = transfer.decode(first, body)
        yield transfer.decode(second, once)[0]


_DASHES = re.compile(rb"\n[ \t]*--[^\n]*")
_GAP = re.compile(rb"\n[ \t\x0b\x0c\x00]*\n")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_SAMPLE = 1 << 16
_SHORTEST = 48
_DENSE = 0.9
_ONE_ESCAPE = re.compile(rb"=[0-9A-F]{2}")
_ESCAPED = 6  # bytes of text for each escape, below which a block is quoted-printable


def _dense(block: bytes) -> bool:
    """Say whether the block is nearly all base64 letters and long words, as neither prose is nor quoted-printable."""
    letters = len(block.translate(None, _NOT_BASE64))
    head = block[:_SAMPLE]
    return letters >= _DENSE * len(block.translate(None, b"\r\n")) and _ESCAPED * len(_ONE_ESCAPE.findall(head)) < len(head)


def _block_readings(block: bytes) -> Iterator[bytes]:
    plain, sound = transfer.decode(Encoding.BASE64, block)
    yield plain
    if not sound and not unbroken(block):
        yield from shifted(block)


def sweep(mail: bytes) -> Iterator[bytes]:
    """Decode every block between blank or delimiter-like lines in the encoding that it looks like, whatever MIME says."""
    lines = to_lf(mail)
    for section in _pieces(lines, _DASHES):
        for block in _pieces(section, _GAP):
            if len(block) >= _SHORTEST and _dense(block):
                yield from _block_readings(block)
        if _ESCAPES.search(section):
            yield next(quoted_readings(section))
    if legacy.hinted(mail):
        yield from (file.data for file in legacy.files(mail))


# --- rules


def _tokens(rows: Iterable[bytes]) -> set[bytes]:
    return {value.media_type(words.unfold(value.without_comments(row))) for row in rows}


def _structure(row: bytes) -> tuple[bytes, ...]:
    """What decides how a body is split: multipart with its boundary, message, or leaf."""
    found = value.parse(row)
    family = found.token.partition(b"/")[0]
    if family == b"multipart":
        return family, found.parameters.get(b"boundary", b"")
    return (family,) if family == b"message" else (b"leaf",)


def types_conflict(fields: Fields) -> bool:
    """Several Content-Type fields name different structures."""
    return len({_structure(row) for row in fields.types}) > 1


def encoding_of(text: bytes) -> set[Encoding]:
    """Every decoder that a value of Content-Transfer-Encoding can be taken to name; UNKNOWN when none."""
    squeezed = re.sub(rb"[^a-z0-9]", b"", text.lower())
    found = {encoding for mark, encoding in _MARKS if mark in squeezed}
    return found or {transfer.named(text)}


_MARKS = (
    (b"base64", Encoding.BASE64),
    (b"b64", Encoding.BASE64),
    (b"gzip64", Encoding.BASE64),
    (b"quoted", Encoding.QUOTED),
    (b"uuenc", Encoding.UU),
    (b"xuu", Encoding.UU),
    (b"yenc", Encoding.YENC),
    (b"binhex", Encoding.BINHEX),
)


def encodings_conflict(fields: Fields) -> bool:
    """Several transfer encodings are named, in several fields or in one."""
    found = [
        transfer.named(item) for row in fields.encodings for item in words.unfold(value.without_comments(row)).split(b",") if item.strip()
    ]
    return len(set(found)) > 1


def boundaries_conflict(fields: Fields) -> bool:
    """One Content-Type gives several boundaries that differ."""
    for row in fields.types:
        plain = words.unfold(value.without_comments(row))
        if value.media_type(plain).startswith(b"multipart") and len(value.given(plain, b"boundary")) > 1:
            return True
    return False


def control_in_field(fields: Fields) -> bool:
    """A type or an encoding holds a control character."""
    return any(CONTROL.search(row) for row in (*fields.types, *fields.encodings))


def is_partial(fields: Fields) -> bool:
    """The part is a piece of a mail."""
    return b"message/partial" in _tokens(fields.types)


def is_external(fields: Fields) -> bool:
    """The part names a place where its content is."""
    return b"message/external-body" in _tokens(fields.types)
