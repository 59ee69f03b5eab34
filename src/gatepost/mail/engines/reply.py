"""Replies in the form that HTTP, ICAP and spamd share: a status line, header fields, a body. Pure.

Not its job: what code or body mean.
Raises: `EngineError` for everything that is not exactly such a reply. `parse` wants the whole reply, `split_head` what came so far.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gatepost.mail.inspect.engine import EngineError

HEAD_LIMIT = 64 * 1024
_STATUS = re.compile(rb"(?P<protocol>[A-Z]+)/\d\.\d (?P<code>\d{1,3})(?: (?P<reason>[^\r\n\0]*))?")
_FIELD = re.compile(rb"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[^\r\n\0]*)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?")


class Head(NamedTuple):
    """Status line and fields; the names of `fields` are in lower case."""

    code: int
    reason: str
    fields: Mapping[str, str]


class Whole(NamedTuple):
    """A reply with its body."""

    head: Head
    body: bytes


def parse(data: bytes, protocol: str) -> Whole:
    """Read a whole reply that ended with the connection; its length must be given and true."""
    found = split_head(data, protocol)
    if found is None:
        raise EngineError(f"the {protocol} reply ends within its head: {data[:80]!r}")
    head, body = found
    length = head.fields.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or len(length) > 18:  # noqa: PLR2004 - more digits than any honest length has
        raise EngineError(f"the {protocol} reply does not say how long it is")
    if int(length) != len(body):
        raise EngineError(f"the {protocol} reply has {len(body)} bytes and says {length}")
    return Whole(head, body)


def split_head(data: bytes, protocol: str) -> tuple[Head, bytes] | None:
    """Take the head off; None while it has not come whole."""
    end = data.find(b"\r\n\r\n")
    if end > HEAD_LIMIT or (end < 0 and len(data) > HEAD_LIMIT):
        raise EngineError(f"the {protocol} reply has a head over {HEAD_LIMIT} bytes")
    if end < 0:
        return None
    lines = data[:end].split(b"\r\n")
    return _head(lines, protocol), data[end + 4 :]


def dechunk(data: bytes) -> bytes | None:
    """Join a chunked body (RFC 9112 7.1) without trailer; None while it has not come whole."""
    body = bytearray()
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        match = _CHUNK_SIZE.fullmatch(data, at, end)
        if match is None:
            raise EngineError(f"the reply has a chunk of unknown size: {data[at : at + 40]!r}")
        size = int(match[1], 16)
        after = end + 2 + size
        mark = data[after : after + 2]
        if len(mark) < 2:  # noqa: PLR2004 - a line end
            return None
        if mark != b"\r\n":
            raise EngineError("the reply has a chunk that is longer than it says")
        if not size:
            return bytes(body)
        body += data[end + 2 : after]
        at = after + 2
    return None


def _head(lines: list[bytes], protocol: str) -> Head:
    status = _STATUS.fullmatch(lines[0])
    if status is None or status["protocol"] != protocol.encode():
        raise EngineError(f"no {protocol} reply: {lines[0][:80]!r}")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise EngineError(f"the {protocol} reply has a line that is no field: {line[:80]!r}")
        name, value = match["name"].decode().lower(), match["value"].decode("utf-8", "replace").strip()
        if fields.setdefault(name, value) != value and name == "content-length":
            raise EngineError(f"the {protocol} reply has two lengths")
    return Head(int(status["code"]), (status["reason"] or b"").decode("utf-8", "replace"), fields)
