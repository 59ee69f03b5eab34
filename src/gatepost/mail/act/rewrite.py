"""A mail on its way out: header fields added and taken out while it streams, without a copy of it.

Not its job: dots and the end of data (`gatepost.mail.smtp.lines`), or deciding what to change.
Raises: `ValueError` when a field to add has a name that is none; that is a fault of the caller, not of the mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost.mail.model import Buffer, HeaderEdit

CHUNK = 128 * 1024
_EMPTY_LINE = re.compile(rb"\r\n\r\n")
_RECEIVED = re.compile(rb"(?im)^received[ \t]*:")
_FIELD_NAME = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:")
_NAME = re.compile(r"[!-9;-~]+")
_NEW_LINE = re.compile(r"[\r\n]+[ \t]*")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def header_block(content: Buffer) -> memoryview:
    """The header of a mail, without the empty line after it."""
    view = memoryview(content)
    if bytes(view[:2]) == b"\r\n":
        return view[:0]
    end = _EMPTY_LINE.search(view)
    return view[: end.start() + 2 if end else len(view)]


def field_names(content: Buffer) -> list[str]:
    """The names of all header fields in order."""
    return [name.decode() for name in _FIELD_NAME.findall(header_block(content))]


def field_value(content: Buffer, name: str) -> str | None:
    """The raw value of the only field called `name`; None when there is none, or more than one."""
    found = re.findall(_field_pattern(name), header_block(content))
    if len(found) != 1:
        return None
    return bytes(found[0]).partition(b":")[2].decode("utf-8", "surrogateescape").strip()


def _field_pattern(name: str) -> bytes:
    return rb"(?im)^%b[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*" % re.escape(name.encode())


class Outgoing:
    """`content` (or `body` in its place) as it goes out: fields with a value stand on top in the given order, the others are taken out.

    The index of a field to take out counts in the mail as it came. `size` is in octets, without transparency dots; `original` the mail as it came.
    """

    __slots__ = ("_content", "_cuts", "_header", "_top", "original", "size")

    def __init__(self, content: Buffer, edits: tuple[HeaderEdit, ...] = (), body: bytes | None = None) -> None:
        self.original = content
        self._content = memoryview(content if body is None else body)
        self._header = header_block(self._content)
        self._top = b"".join(_field(edit.name, edit.value) for edit in edits if edit.value is not None)
        self._cuts = sorted({span for edit in edits if edit.value is None for span in self._find(edit)})
        self.size = len(self._top) + len(self._content) - sum(end - start for start, end in self._cuts)

    def _find(self, edit: HeaderEdit) -> Iterator[tuple[int, int]]:
        for count, match in enumerate(re.finditer(_field_pattern(edit.name), self._header), 1):
            if count == edit.index:
                yield match.span()

    @property
    def hops(self) -> int:
        """How many Received fields the mail has (RFC 5321 6.3)."""
        return len(_RECEIVED.findall(self._header))

    def chunks(self) -> Iterator[bytes]:
        """Give the octets in pieces of at most `CHUNK`."""
        if self._top:
            yield self._top
        start = 0
        for cut, after in (*self._cuts, (len(self._content), 0)):
            for position in range(start, cut, CHUNK):
                yield bytes(self._content[position : min(position + CHUNK, cut)])
            start = after

    def seven_bit(self) -> bool:
        """Whether all octets are ASCII."""
        return all(chunk.isascii() for chunk in self.chunks())


def folded(value: str, line_end: str = "\r\n") -> str:
    """The value of a field with line ends only where they fold, so that no value can begin another field or the body."""
    lines = (line for line in _NEW_LINE.split(value) if line.strip())
    return _UNPRINTABLE.sub(" ", f"{line_end}\t".join(lines))


def _field(name: str, value: str) -> bytes:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a header field")
    return f"{name}: {folded(value)}\r\n".encode("utf-8", "surrogateescape")
