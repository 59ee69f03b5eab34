"""Files inside text: uuencode, xxencode, begin-base64, yEnc and BinHex, from before MIME and still read by mail clients.

What it does: finds and decodes each such file in a text.
Not its job: asking whether an honest sender meant it; a text that only looks like one gives a short meaningless file, which is harmless.
Raises: nothing.
Sources: POSIX uuencode (both forms), yEnc draft 1.3, RFC 1741 (BinHex 4.0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gatepost.mail.parse.lenient import groups, solid

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_UU = bytes(range(32, 96))
_XX = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_FROM_UU = bytes.maketrans(_UU + b"`", _STANDARD + b"A")
_FROM_XX = bytes.maketrans(_XX, _STANDARD)
_FROM_HEX = bytes.maketrans(_HEX, _STANDARD)
_NOT_HEX = bytes(set(range(256)) - set(_HEX))
_NOT_STANDARD = bytes(set(range(256)) - set(_STANDARD))
_UNSHIFT = bytes((code - 42) & 255 for code in range(256))

_BEGIN = re.compile(rb"begin(-base64(?:-encoded)?)?[ \t]+[0-7]{1,7}(?:[ \t]+([^\r\n]*))?(?:\r*\n|\r|\Z)")
_BREAK = re.compile(rb"\r*\n|\r")
_END = re.compile(rb"(?:^|(?<=[\r\n]))[ \t>]{0,8}(?:end|====)[ \t]*(?=[\r\n]|\Z)")
_XX_ONLY = re.compile(rb"[A-Za-z0-9+\-\s]*")
_YBEGIN = re.compile(rb"=ybegin[ \t][^\r\n]*(?:\r*\n|\r|\Z)")
_YNAME = re.compile(rb"[ \t]name=([^\r\n]*)")
_YLINE = re.compile(rb"(?:^|(?<=[\r\n]))=y[a-z][^\r\n]*(?:\r*\n|\r|\Z)")
_YEND = re.compile(rb"(?:^|(?<=[\r\n]))=yend")
_YESCAPE = re.compile(rb"=([\s\S])")
_BINHEX = re.compile(rb":([!-,\-0-9@A-NP-VX-Z\[`a-fh-mp-r\s]{20,})(?::|\Z)")
_RUN = re.compile(rb"\x90([\s\S])")
_HEADER_FORK = 22
_INDENT = 8


class File(NamedTuple):
    """A file found in a text: the name it gives itself (raw bytes) and its content."""

    name: bytes
    data: bytes


def _rows(text: bytes, table: bytes, alphabet: bytes) -> bytes:
    """Decode lines of length letter and data, both in `alphabet`; lines that cannot be such are skipped."""
    out = []
    for row in _BREAK.split(text):
        line = row if len(row) > 1 else row.strip()
        position = alphabet.find(line[:1]) if line else -1
        if line[:1] == b"`":
            position = 0
        if position <= 0:
            continue
        need = -(-position // 3) * 4
        letters = line[1 : need + 1].translate(table).ljust(need, b"A")
        out.append(solid(letters.translate(None, _NOT_STANDARD))[:position])
    return b"".join(out)


def uu_rows(text: bytes) -> bytes:
    """Decode uuencoded lines, with or without begin and end round them."""
    return _rows(text, _FROM_UU, _UU)


def xx_rows(text: bytes) -> bytes:
    """Decode xxencoded lines, with or without begin and end round them."""
    return _rows(text, _FROM_XX, _XX)


def _starts_line(match: re.Match[bytes]) -> bool:
    """Say whether only blanks and quoting marks stand before the match on its line."""
    before = b"\n" + match.string[: match.start()] if match.start() < _INDENT else match.string[match.start() - _INDENT : match.start()]
    return before.rstrip(b" \t>").endswith((b"\n", b"\r"))


def _opened(text: bytes, opening: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], int]]:
    """Each line that opens a file, and where the next one or the text's end stops it."""
    found = None
    for match in filter(_starts_line, opening.finditer(text)):
        if found:
            yield found, match.start()
        found = match
    if found:
        yield found, len(text)


def uuencoded(text: bytes) -> Iterator[File]:
    """Every uuencoded, xxencoded or begin-base64 file; where the lines fit both alphabets there are two."""
    for opening, stop in _opened(text, _BEGIN):
        end = _END.search(text, opening.end(), stop)
        rows = text[opening.end() : end.start() if end else stop]
        name = (opening[2] or b"").strip()
        if opening[1]:
            yield File(name, groups(rows))
            continue
        yield File(name, uu_rows(rows))
        if _XX_ONLY.fullmatch(rows):
            yield File(name, xx_rows(rows))


def yencoded(text: bytes) -> Iterator[File]:
    """Every yEnc file; each part of a file in several parts is one (yEnc draft 1.3)."""
    for opening, stop in _opened(text, _YBEGIN):
        end = _YEND.search(text, opening.end(), stop)
        body = _YLINE.sub(b"", text[opening.end() : end.start() if end else stop]).translate(None, b"\r\n")
        name = _YNAME.search(opening[0])
        plain = _YESCAPE.sub(lambda match: bytes(((match[1][0] - 64) & 255,)), body)
        yield File(name[1].strip() if name else b"", plain.translate(_UNSHIFT))


def _expand(data: bytes) -> bytes:
    """Undo BinHex run lengths: 0x90 and a count repeat the byte before, 0x90 0x00 is the byte itself."""
    out = bytearray()
    position = 0
    for match in _RUN.finditer(data):
        if match.start() < position:
            continue
        out += data[position : match.start()]
        count = match[1][0]
        out += b"\x90" if not count else out[-1:] * (count - 1)
        position = match.end()
    return bytes(out + data[position:])


def binhexed(text: bytes) -> Iterator[File]:
    """Every BinHex 4.0 file, data fork and resource fork as two files (RFC 1741)."""
    for match in filter(_starts_line, _BINHEX.finditer(text)):
        data = _expand(solid(match[1].translate(None, _NOT_HEX).translate(_FROM_HEX)))
        length = data[0] if data else 0
        sizes = data[length + 12 : length + 20]
        fork, resource = int.from_bytes(sizes[:4], "big"), int.from_bytes(sizes[4:], "big")
        start = length + _HEADER_FORK
        name = data[1 : 1 + length]
        yield File(name, data[start : start + fork])
        yield File(name, data[start + fork + 2 : start + fork + 2 + resource])


_FINDERS: tuple[tuple[bytes, Callable[[bytes], Iterator[File]]], ...] = (
    (b"begin", uuencoded),
    (b"=ybegin", yencoded),
    (b"BinHex", binhexed),
)


def hinted(text: bytes) -> bool:
    """Test cheaply whether there can be a file in this text at all."""
    return b"begin" in text or b"BinHex" in text


def files(text: bytes) -> Iterator[File]:
    """Every file of every kind that a reader would show beside this text, as they are found."""
    return (file for hint, find in _FINDERS if hint in text for file in find(text) if file.data)
