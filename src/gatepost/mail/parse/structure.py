"""The plain reading of a mail: the MIME tree as offsets, and what its leaves hold.

What it does: walks multiparts and attached messages by searching delimiters in the whole buffer, decodes leaves, and notices what
is odd enough for another reader to see another mail.
Not its job: deriving the other readings (`union`).
Raises: nothing; where the budget ends the walk stops and `Tree.over` names the limit.
Sources: RFC 2045, RFC 2046 5.1 (multipart) and 5.2 (message), RFC 3501 6.4.5 (numbers of parts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gatepost.mail.budget import Budget, BudgetError
from gatepost.mail.model import Part
from gatepost.mail.parse import charset, header, legacy, names, transfer, value
from gatepost.mail.parse.transfer import Encoding

# Nobody nests honestly so deep, and the walk recurses.
DEEPEST = 64
MESSAGES = frozenset({b"message/rfc822", b"message/global", b"message/news"})

_AFTER = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_TELLING = re.compile(rb"(?i)content-|begin |=ybegin|BinHex|^--|[A-Za-z0-9+/]{60}")
_FIELD_LATER = re.compile(rb"(?i)\s*+(?:[!-9;-~]+:[^\n]*\n|[ \t][^\n]*\n){0,30}?content-[a-z-]+[ \t]*:")
_HIDDEN_PART = re.compile(rb"\n[ \t>]*+--[^\s][^\n]*\n(?:[!-9;-~ \t][^\n]*\n){0,30}?content-[a-z-]+[ \t]*:", re.IGNORECASE)
_SHORT = 70


@dataclass(frozen=True, slots=True)
class Entity:
    """A node of the plain reading.

    `header` and `body` are spans (start, end) of `buffer`, which is the raw mail unless an
    ancestor is encoded; `type` is the media type in lower case; a leaf has no children.
    """

    path: str
    header: tuple[int, int]
    body: tuple[int, int]
    type: str
    encoding: Encoding
    buffer: bytes = field(repr=False)
    children: tuple[Entity, ...] = ()


def delimiters(buffer: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """Each delimiter line in the span: where its line end before it starts, where its line ends, whether it closes (RFC 2046 5.1.1)."""
    needle = b"--" + boundary
    position = buffer.find(needle, start, end)
    while position >= 0:
        after = _AFTER.match(buffer, position + len(needle), end)
        if after and (position == start or buffer[position - 1] == 10):  # noqa: PLR2004 - LF
            before = position
            if before > start:
                before -= 2 if before - 2 >= start and buffer[before - 2] == 13 else 1  # noqa: PLR2004 - CR
            yield before, after.end(), bool(after[1])
            position = after.end()
        else:
            position += 1
        position = buffer.find(needle, position, end)


class _Node(NamedTuple):
    """What is known of an entity while it is opened; a leaf is called `leaf_path`, children are numbered below `path`."""

    buffer: bytes
    place: header.Frame
    end: int
    path: str
    leaf_path: str
    depth: int
    kind: value.Value
    encoding: Encoding
    fields: header.Content

    def entity(self, children: tuple[Entity, ...]) -> Entity:
        """The finished node of the tree."""
        spans = (self.place.start, self.place.end), (self.place.body, self.end)
        return Entity(self.path, *spans, self.kind.token.decode("latin-1"), self.encoding, self.buffer, children)

    def part(self, path: str, data: bytes | memoryview) -> Part:
        """The leaf as a part."""
        fields = self.fields
        disposition = value.parse(fields.dispositions[0]).token if fields.dispositions else b""
        return Part(
            path,
            data,
            names.of_fields(fields.types, fields.dispositions, fields.descriptions),
            self.kind.token.decode("latin-1"),
            charset=self.kind.parameters.get(b"charset", b"").strip(b" \t\"'").lower().decode("latin-1"),
            disposition=disposition.decode("latin-1") if disposition in (b"inline", b"attachment") else "",
            depth=self.depth,
        )


class Tree:
    """One plain walk over a mail. After `walk`: `parts`, `odd` (why another reader may see another mail), `over` (limits that ended it)."""

    __slots__ = ("_budget", "_suspicious", "odd", "over", "parts")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._suspicious = False
        self.parts: list[Part] = []
        self.odd: set[str] = set()
        self.over: dict[str, str] = {}

    def walk(self, buffer: bytes) -> Entity:
        """Read a whole mail."""
        self._suspicious = legacy.hinted(buffer)
        return self._entity(buffer, 0, len(buffer), "", 0, message=True)

    def _spend(self, depth: int, path: str, size: int = 0) -> bool:
        """Take one part of `size` decoded bytes from the budget; False when it is used up."""
        try:
            self._budget.part(depth, path)
            self._budget.content(size, path)
        except BudgetError as error:
            self.over.setdefault(error.limit, path)
            return False
        if depth >= DEEPEST:
            self.over.setdefault("depth", path)
        return depth < DEEPEST

    def _entity(
        self, buffer: bytes, start: int, end: int, path: str, depth: int, *, message: bool = False, default: bytes = b"text/plain"
    ) -> Entity:
        place = header.frame(buffer, start, end)
        block = buffer[place.start : place.end]
        fields = header.content(block)
        self._notice(block, fields, place, end, message=message)
        kind = value.parse(fields.types[0]) if fields.types else value.Value(default, {}, sound=True)
        encoding = transfer.named(fields.encodings[0]) if fields.encodings else Encoding.IDENTITY
        if not kind.sound or b"/" not in kind.token:
            self.odd.add("type")
        if encoding is Encoding.UNKNOWN:
            self.odd.add("encoding")
        leaf_path = (f"{path}.1" if path else "1") if message else path
        node = _Node(buffer, place, end, path, leaf_path, depth, kind, encoding, fields)
        return self._open(node)

    def _notice(self, block: bytes, fields: header.Content, place: header.Frame, end: int, *, message: bool) -> None:
        if place.cut:
            self.over.setdefault("header", "")
        if not header.sound(block) or (message and place.start == place.end < end):
            self.odd.add("header")
        for rows in fields[:3]:
            if len(rows) > 1:
                self.odd.add("repeated")

    def _open(self, node: _Node) -> Entity:
        token = node.kind.token
        if token.startswith(b"multipart"):
            boundary = node.kind.parameters.get(b"boundary", b"")
            if not boundary or len(boundary) > _SHORT or node.encoding is not Encoding.IDENTITY:
                self.odd.add("multipart")
            children = self._multipart(node, boundary) if boundary else ()
            if children:
                return node.entity(children)
            self.odd.add("multipart")
        elif token in MESSAGES:
            return self._message(node)
        elif token.startswith(b"message/") and token in _ELSEWHERE:
            self.odd.add(token.decode())
        self._leaf(node)
        return node.entity(())

    def _multipart(self, node: _Node, boundary: bytes) -> tuple[Entity, ...]:
        buffer, start, end = node.buffer, node.place.body, node.end
        default = b"message/rfc822" if node.kind.token == b"multipart/digest" else b"text/plain"
        children: list[Entity] = []
        opened = -1
        for before, after, closes in delimiters(buffer, start, end, boundary):
            if opened < 0:
                self._outside(buffer, start, before)
            elif not self._child(children, node, opened, max(before, opened), default):
                return tuple(children)
            opened = after
            if closes:
                self._outside(buffer, after, end)
                return tuple(children)
        if opened >= 0:
            self._child(children, node, opened, end, default)
        return tuple(children)

    def _child(self, children: list[Entity], node: _Node, start: int, end: int, default: bytes) -> bool:
        number = f"{node.path}.{len(children) + 1}" if node.path else str(len(children) + 1)
        if not self._spend(node.depth + 1, number):
            return False
        children.append(self._entity(node.buffer, start, end, number, node.depth + 1, default=default))
        return not self.over

    def _outside(self, buffer: bytes, start: int, end: int) -> None:
        """Notice a preamble or an epilogue that some reader could take for more than a remark."""
        if end - start > 1 and _TELLING.search(buffer, start, end):
            self.odd.add("outside")

    def _message(self, node: _Node) -> Entity:
        body, sound = (
            transfer.decode(node.encoding, node.buffer[node.place.body : node.end])
            if node.encoding is not Encoding.IDENTITY
            else (b"", True)
        )
        plain = node.encoding is Encoding.IDENTITY
        if not plain or names.of_fields(*node.fields[:1], *node.fields[2:]):
            self._leaf(node)
        if not plain or not sound:
            self.odd.add("message")
        if not self._spend(node.depth + 1, node.path, len(body)):
            return node.entity(())
        buffer, start, end = (node.buffer, node.place.body, node.end) if plain else (body, 0, len(body))
        return node.entity((self._entity(buffer, start, end, node.path or "1", node.depth + 1, message=True),))

    def _leaf(self, node: _Node) -> None:
        path = node.leaf_path
        if node.encoding is Encoding.IDENTITY:
            data: bytes | memoryview = memoryview(node.buffer)[node.place.body : node.end]
            start = node.place.body
            if _HIDDEN_PART.search(node.buffer, max(0, start - 1), node.end) or _FIELD_LATER.match(node.buffer, start, node.end):
                self.odd.add("hidden part")
        else:
            data, sound = transfer.decode(node.encoding, node.buffer[node.place.body : node.end])
            if not sound:
                self.odd.add("body")
        if not self._spend(node.depth, path, 0 if isinstance(data, memoryview) else len(data)):
            return
        part = node.part(path, data)
        self.parts.append(part)
        self._beside(part, node)

    def _beside(self, part: Part, node: _Node) -> None:
        """Add what a leaf holds besides itself: files in a text, the text in UTF-8, the leaves of a mail that came as a file."""
        decoded = isinstance(part.data, bytes)
        if decoded or self._suspicious:
            self._files(part, bytes(part.data))
        if part.declared.startswith("text/"):
            for text in charset.in_utf8(bytes(part.data), part.charset) if _may_hide(part) else ():
                self._extra(part, text, part.names, "charset")
        if (decoded or not part.declared.startswith("text/")) and header.begins_mail(part.data):
            self._attached(part, node)

    def _files(self, part: Part, text: bytes) -> None:
        found = legacy.files(text) if legacy.hinted(text) else iter(())
        if part.declared == "application/mac-binhex40" and b"BinHex" not in text:
            found = legacy.binhexed(text)
        for file in found:
            self._extra(part, file.data, names.collect((file.name,)), "inline-file")
            if self.over:
                return

    def _attached(self, part: Part, node: _Node) -> None:
        data = bytes(part.data)
        if self._spend(node.depth + 1, part.path, len(data)):
            self._entity(data, 0, len(data), part.path, node.depth + 1, message=True)

    def _extra(self, part: Part, data: bytes, called: tuple[str, ...], reading: str) -> None:
        self.odd.add(reading)
        if self._spend(part.depth + 1, part.path, len(data)):
            path = f"{part.path}!{called[0]}" if called else part.path
            self.parts.append(Part(path, data, called, part.declared, reading=reading, depth=part.depth + 1))


_ELSEWHERE = frozenset({b"message/partial", b"message/external-body"})
_HIDES = ("utf", "cp", "ibm", "ebcdic", "unicode", "ucs", "hz", "csu", "iso-10646")


def _may_hide(part: Part) -> bool:
    """Test cheaply whether this text can be in a charset that hides ASCII."""
    declared = part.charset
    if declared and declared != "utf-8" and declared.startswith(_HIDES):
        return True
    head = bytes(part.data[:64])
    return b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))
