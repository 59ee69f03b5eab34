"""What content-only engines are given: the raw mail and everything that somebody could open in it.

What it does: names one piece of content, lists the pieces of a mail without repetition, and says what an engine
offers whose answer depends on nothing but a piece (the verdict cache needs that).
Not its job: looking at the pieces.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from gatepost.mail.inspect.engine import Engine
from gatepost.mail.model import Buffer, Finding, Kind, Message, Part

_ONE_BLANK = bytes.maketrans(b"\t\r\n\x0b\x0c", b" " * 5)


class Piece(NamedTuple):
    """Content to look at: `path` is the path of the part, "" for the raw mail. `as_mail` asks for the engine's own reading of it as a mail too."""

    path: str
    data: Buffer
    as_mail: bool = False


class ContentEngine(Engine, Protocol):
    """An engine that looks at content alone: not at the envelope, names, declared types or other pieces."""

    def select(self, message: Message) -> Sequence[Piece]:
        """Choose what it has to see of a mail so that nothing is missed."""
        ...

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Look at `pieces`; each finding carries its piece's path. Raises EngineError."""
        ...


def everything(message: Message) -> list[Piece]:
    """Give the raw mail and each part whose content was not given before."""
    return distinct([Piece("", message.raw), *(Piece(part.path, part.data) for part in message.parts)])


def outlined(message: Message) -> list[Piece]:
    """Give the same with the outline in place of the raw mail, where it has one: what was cut out of that is a part."""
    raw = message.outline.data if message.outline else message.raw
    return distinct([Piece("", raw, not message.plain), *(Piece(part.path, part.data) for part in message.parts)])


def telling(message: Message) -> Iterator[Part]:
    """Give the parts that hold more than the raw mail shows to an engine that looks anywhere in it.

    Left out is what is nothing but text and stands in the raw mail word for word, whatever the blanks and line ends between the words: it
    has no form of its own that an engine could know it by, nothing starts it, and what is encoded in it is a part of its own. So is a
    mail without a name that stands there byte by byte in another reading: everything in it is a part too.
    """
    raw = bytes(message.raw)
    words = b""
    for part in message.parts:
        if part.type == "text":
            words = words or _words(raw)
            if _words(bytes(part.data)) in words:
                continue
        elif part.type == "mail" and part.reading and not part.names and bytes(part.data) in raw:
            continue
        yield part


def _words(text: bytes) -> bytes:
    """The text with one blank for each run of blanks; in passes, since a list of all words would take many times its memory."""
    plain = text.translate(_ONE_BLANK)
    while b"  " in plain:
        plain = plain.replace(b"  ", b" ")
    return plain.strip(b" ")


def distinct(pieces: Iterable[Piece]) -> list[Piece]:
    """Drop empty pieces and repetitions of the same content; the first path stays."""
    seen: set[Buffer] = set()
    chosen = []
    for piece in pieces:
        if len(piece.data) and piece.data not in seen:
            seen.add(piece.data)
            chosen.append(piece)
    return chosen


def within(pieces: Iterable[Piece], limit: int) -> tuple[list[Piece], list[Piece]]:
    """Split into pieces of at most `limit` bytes and larger ones."""
    fit: list[Piece] = []
    large: list[Piece] = []
    for piece in pieces:
        (fit if len(piece.data) <= limit else large).append(piece)
    return fit, large


def too_large(piece: Piece, source: str, limit: int) -> Finding:
    """Say that `source` has not seen a piece because it is over its limit of `limit` bytes."""
    detail = f"{len(piece.data)} bytes are more than the {limit} that {source} looks at"
    return Finding(Kind.UNCHECKED, "engine-size-limit", piece.path, source, detail)
