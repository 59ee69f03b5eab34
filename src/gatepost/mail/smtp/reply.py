"""SMTP replies as bytes, written and read (RFC 5321 4.2, RFC 2034).

Not its job: what a reply means for a mail.
Raises: `ReplyError` when what comes back from a server is no reply.
"""

from __future__ import annotations

import re

from gatepost.mail.model import Reply

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]|$)(.*)", re.DOTALL)
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")
_UNPRINTABLE = re.compile(r"[^ -~]+")
TEXT = 400  # RFC 5321 4.5.3.1.5: a reply line has at most 512 octets
LINE = 2048
LINES = 128


class ReplyError(Exception):
    """The peer's answer is not an SMTP reply, or too long."""


def render(reply: Reply) -> bytes:
    """Write `reply` as one line; whatever is not printable ASCII in its text becomes one question mark."""
    text = _UNPRINTABLE.sub("?", reply.text)[:TEXT]
    status = reply.status + " " if reply.status else ""
    return f"{reply.code} {status}{text}\r\n".encode("ascii")


def render_lines(code: int, lines: tuple[str, ...]) -> bytes:
    """Write a reply of several lines."""
    last = len(lines) - 1
    return "".join(f"{code}{'-' if index < last else ' '}{line}\r\n" for index, line in enumerate(lines)).encode("ascii")


class ReplyReader:
    """Reads the replies of a server from chunks."""

    __slots__ = ("_buffer", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[tuple[int, str]] = []

    @property
    def pending(self) -> bool:
        """Whether bytes are here that belong to no reply given out: after STARTTLS such bytes would be an attacker's (RFC 3207 6)."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take the next chunk. Raises ReplyError when more is here than any reply needs."""
        self._buffer += data
        if len(self._buffer) > LINE * LINES:
            raise ReplyError("the answer is endless")

    def lines(self) -> tuple[int, tuple[str, ...]] | None:
        """Give the next whole reply as code and texts, or None while it is not complete. Raises ReplyError."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if self._take(line):
                lines, self._lines = self._lines, []
                return lines[0][0], tuple(text for _, text in lines)
        if len(self._buffer) > LINE:
            raise ReplyError("a line of the answer is endless")
        return None

    def _take(self, line: bytes) -> bool:
        match = _LINE.fullmatch(line)
        if match is None or len(self._lines) >= LINES or (self._lines and self._lines[0][0] != int(match[1])):
            raise ReplyError("the answer is no SMTP reply")
        self._lines.append((int(match[1]), match[3].decode("utf-8", "replace")))
        return match[2] != b"-"


def from_lines(code: int, texts: tuple[str, ...]) -> Reply:
    """Make one `Reply` of what `ReplyReader.lines` gave: the enhanced status is taken off each line, the texts are joined."""
    status = next((match[1] for match in map(_STATUS.match, texts) if match), "")
    return Reply(code, status, " ".join(_STATUS.sub("", text, count=1).strip() for text in texts).strip())
