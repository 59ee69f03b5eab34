"""The header of a mail or of a part: where it ends, its fields with their offsets.

What it does: cuts a header block into fields and finds the few fields that say how a body is read.
Not its job: the meaning of a value (`value`), odd forms of fields (`quirks`).
Raises: nothing.
Source: RFC 5322 2.2 and 3.6.8.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gatepost.mail.model import Buffer
from gatepost.mail.parse import words

KIB = 1024
# No more of one header block is looked at: the largest of real mail seen is under 100 KiB.
LONGEST = 1024 * KIB

_BLANK = re.compile(rb"\n\r?\n")
_MAILBOX_LINE = re.compile(rb">?From [^\r\n]*\r?\n")
_CONTENT = re.compile(rb"\ncontent-(type|transfer-encoding|disposition|description)[ \t]*:([^\n]*+(?:\n[ \t][^\n]*+)*+)")
_SOUND = re.compile(rb"(?:[!-9;-~]++:[^\n]*+(?:\n|\Z)(?:[ \t]++[^\s][^\n]*+(?:\n|\Z))*+)*+\r?\n?\Z")
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?|[^\n]*\n?")
_MAIL = re.compile(
    rb"\s*+(?:[!-9;-~]+[ \t]*:[^\n]*\n|[ \t][^\n]*\n){0,64}?content-(?:type|transfer-encoding|disposition)[^\n:]*:", re.IGNORECASE
)


class Field(NamedTuple):
    """A header field: name as written, raw value with its folds, offsets of the whole field in its buffer."""

    name: str
    value: bytes
    start: int
    end: int


class Frame(NamedTuple):
    """Where header and body of an entity stand: header `start` to `end`, body from `body`; `cut` says that the header is longer than LONGEST."""

    start: int
    end: int
    body: int
    cut: bool = False


def frame(buffer: bytes, start: int, end: int) -> Frame:
    """Split an entity at its first blank line; without one all is header; one that starts with it has no header."""
    if mailbox := _MAILBOX_LINE.match(buffer, start, end):
        start = mailbox.end()
    for opening in (b"\r\n", b"\n"):
        if buffer.startswith(opening, start, end):
            return Frame(start, start, start + len(opening))
    limit = min(end, start + LONGEST)
    blank = _BLANK.search(buffer, start, limit)
    if blank:
        return Frame(start, blank.start() + 1, blank.end())
    return Frame(start, limit, end, limit < end)


class Headers:
    """The fields of one header block, read when they are asked for."""

    __slots__ = ("_fields", "block", "offset")

    def __init__(self, block: bytes, offset: int) -> None:
        self.block = block
        self.offset = offset
        self._fields: tuple[Field, ...] | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields in order; lines that are no field are left out."""
        if self._fields is None:
            self._fields = tuple(
                Field(match[1].decode("ascii"), match[2].removesuffix(b"\r"), self.offset + match.start(), self.offset + match.end())
                for match in _FIELD.finditer(self.block)
                if match[1]
            )
        return self._fields

    def values(self, name: str) -> list[bytes]:
        """The raw values of all fields with that name, in order."""
        wanted = name.lower()
        return [field.value for field in self.fields if field.name.lower() == wanted]

    def text(self, name: str) -> str:
        """The first field of that name as a reader shows it, "" when there is none."""
        values = self.values(name)
        return words.shown(values[0]) if values else ""

    @property
    def subject(self) -> str:
        """The subject as shown."""
        return self.text("subject")

    @property
    def message_id(self) -> str:
        """The Message-ID without angle brackets."""
        return self.text("message-id").strip().strip("<>")

    @property
    def sender(self) -> str:
        """The From field as shown."""
        return self.text("from")


class Content(NamedTuple):
    """The raw values of the fields that say how a body is read, in order of appearance."""

    types: list[bytes]
    encodings: list[bytes]
    dispositions: list[bytes]
    descriptions: list[bytes]


def content(block: bytes) -> Content:
    """Find the content fields of a header block as soundly written readers do."""
    found = Content([], [], [], [])
    lists = {
        b"type": found.types,
        b"transfer-encoding": found.encodings,
        b"disposition": found.dispositions,
        b"description": found.descriptions,
    }
    anchored = b"\n" + block
    for match in _CONTENT.finditer(anchored.lower()):
        lists[match[1]].append(anchored[match.start(2) : match.end(2)].strip())
    return found


def begins_mail(data: Buffer) -> bool:
    """Say whether a content begins as a mail or a part does: fields from the start, among the first 64 lines one that says how to read on."""
    return _MAIL.match(data, 0, LONGEST) is not None


def sound(block: bytes) -> bool:
    """Say whether every line is a field or the continuation of one, in ASCII names, without blank folds."""
    return _SOUND.match(block) is not None
