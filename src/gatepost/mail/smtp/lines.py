r"""Line ends and dots: where a message ends, and how it is written so that nobody else can find another end.

What it does: takes the transparency dots out (`Unstuffer`) and puts them in (`stuffed`; `exact` where a mail has none), whole chunks at a time, and finds bare CR, bare LF and NUL.
Not its job: saying what happens to a mail that holds them.
Raises: `LineEndError`, from `stuffed` and `exact` only, before any byte of the offending chunk is given out.

Only CRLF "." CRLF ends a message (RFC 5321 4.1.1.4). Whoever also took LF "." LF, or passed it on to somebody who does, would let one
sender write mail in the name of another (SMTP smuggling). A look-behind pattern finds a bare CR or LF at 40 MB/s; counting does it at memory speed:
all line ends are CRLF exactly when there are as many CRs, LFs and CRLFs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CRLF = b"\r\n"
END = b"\r\n.\r\n"
BARE = "a bare CR or LF"
NUL = "a NUL"


class LineEndError(Exception):
    """A mail about to leave holds a bare CR, a bare LF or a NUL."""


def fault(data: bytes) -> str:
    """Name what must not be in `data`, or return "". A CR or LF at its edges counts as bare."""
    pairs = data.count(CRLF)
    if data.count(b"\n") != pairs or data.count(b"\r") != pairs:
        return BARE
    return NUL if b"\0" in data else ""


def _held(data: bytes, pattern: bytes) -> int:
    """Length of the longest end of `data` with which `pattern` could begin, short of the whole."""
    return next((length for length in range(len(pattern) - 1, 0, -1) if data.endswith(pattern[:length])), 0)


class Unstuffer:
    """Reads what follows a 354: give it chunks as they come; after `rest` is not None the message is over and `rest` follows it.

    `fault` names what in the message must not be there, a bare line end rather than a NUL however the chunks are cut; from the first one on no
    content is given out.
    """

    __slots__ = ("_fresh", "_tail", "fault", "rest")

    def __init__(self) -> None:
        self._tail = CRLF  # the line end of DATA itself: ".", CRLF may follow at once
        self._fresh = True
        self.fault = ""
        self.rest: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """Take the next chunk and return the content in it, without transparency dots."""
        data = self._tail + data
        end = data.find(END)
        if end >= 0:
            self.rest = data[end + len(END) :]
            piece = data[: end + len(CRLF)]
        else:
            held = _held(data, END)
            self._tail = data[len(data) - held :]
            piece = data[: len(data) - held]
        return self._content(piece)

    def _content(self, piece: bytes) -> bytes:
        if not piece:
            return b""
        self.fault = _graver(self.fault, fault(piece))
        piece = piece.replace(b"\r\n.", CRLF)
        if self._fresh:
            self._fresh = False
            piece = piece[len(CRLF) :]
        return b"" if self.fault else piece


class LineCheck:
    """Checks content that comes in chunks without dots (BDAT). `fault` names what must not be there, a bare line end rather than a NUL."""

    __slots__ = ("_tail", "fault")

    def __init__(self) -> None:
        self._tail = b""
        self.fault = ""

    def feed(self, data: bytes) -> None:
        """Take the next chunk."""
        data = self._tail + data
        self._tail = b"\r" if data.endswith(b"\r") else b""
        self.fault = _graver(self.fault, fault(data[: len(data) - len(self._tail)]))

    def end(self) -> None:
        """Say that nothing follows."""
        if self._tail:
            self.fault = BARE


def _graver(before: str, now: str) -> str:
    return BARE if BARE in {before, now} else before or now


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give a mail as it follows a 354: dots doubled at the start of lines, a last CRLF if there is none, and the end of data.

    Raises LineEndError before the chunk that holds a bare CR, a bare LF or a NUL.
    """
    tail, skip = CRLF, len(CRLF)
    for chunk in chunks:
        data = tail + chunk
        held = _held(data, b"\r\n.")
        tail = data[len(data) - held :]
        piece = _checked(data[: len(data) - held])
        if piece:
            yield piece.replace(b"\r\n.", b"\r\n..")[skip:]
            skip = 0
    last = _checked(tail if tail.endswith(CRLF) else tail + CRLF)
    yield last[skip:] + END[len(CRLF) :]


def exact(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give a mail as it follows BDAT (RFC 3030 2): as it is, since its size tells its end.

    Raises LineEndError before the chunk that holds a bare CR, a bare LF or a NUL.
    """
    tail = b""
    for chunk in chunks:
        data = tail + chunk
        tail = b"\r" if data.endswith(b"\r") else b""
        yield _checked(data[: len(data) - len(tail)])
    _checked(tail)


def _checked(piece: bytes) -> bytes:
    wrong = fault(piece)
    if wrong:
        raise LineEndError(f"the mail holds {wrong}, which must not leave")
    return piece
