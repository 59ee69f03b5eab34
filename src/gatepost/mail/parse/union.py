"""All readings of a mail that is odd: walks it row by row of the table of quirks and collects every content that any reader sees.

What it does: applies each row of `quirks` whose trigger matches at the stage where it belongs, and keeps what is new.
Not its job: the plain reading (`structure`), deciding that a mail is odd (`reader`).
Raises: nothing; what the budget or the allowance of work leaves unread is named in `over`.
Source: draft-chen-email-mime-ambiguity-defense-00, "multi-view extraction and union scanning".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gatepost.mail.budget import KIB, MIB, Budget, BudgetError
from gatepost.mail.model import Buffer, Part
from gatepost.mail.parse import charset, derive, header, legacy, names, quirks, transfer, value
from gatepost.mail.parse.quirks import Quirk
from gatepost.mail.parse.structure import DEEPEST

# Bytes that may be copied while reading a mail in other ways, as a multiple of its size and a floor.
_WORK_FACTOR = 64
_WORK_FLOOR = 16 * MIB
_WORK_MOST = 2048 * MIB
# Contents and entities that may be looked at: a floor, and one more for so many bytes of mail.
_ITEMS_FLOOR = 20_000
_ITEM_BYTES = 64
_LARGE = 64 * KIB
# Bytes of new content kept: the memory of a worker is small.
_KEPT = 32 * MIB
_CONTROL = derive.CONTROL
_PLAIN = "any-field"
_MOST_VALUES = 64
_LONGEST_VALUE = 128 * KIB


class _Entity(NamedTuple):
    """A header and body still to be read: where it stands, which quirk led to it, whether its frame is sound enough to judge it."""

    data: bytes
    path: str
    depth: int
    label: str
    firm: bool
    default: bytes


class _Leaf(NamedTuple):
    """A content that some reader sees, with what is declared of it."""

    data: bytes
    path: str
    depth: int
    label: str
    declared: str = "text/plain"
    called: tuple[str, ...] = ()
    charsets: tuple[str, ...] = ()


class _Meaning(NamedTuple):
    """What the content fields of a header can mean: values in every writing, media types, boundaries, names, charsets, values of encoding."""

    types: list[bytes]
    tokens: set[bytes]
    boundaries: list[bytes]
    called: tuple[str, ...]
    charsets: tuple[str, ...]
    encodings: list[bytes]


class Union:
    """One walk over all readings. After `walk`: `parts` (new ones only), `noticed` (rules that matched, and where), `over` (limits that ended it)."""

    __slots__ = ("_budget", "_items", "_kept", "_known", "_left", "_meanings", "_queue", "_visited", "noticed", "over", "parts")

    def __init__(self, budget: Budget, known: Iterable[Part], size: int) -> None:
        self._budget = budget
        self._left = min(_WORK_FLOOR + _WORK_FACTOR * size, _WORK_MOST)
        self._items = _ITEMS_FLOOR + size // _ITEM_BYTES
        self._known: dict[tuple[int, int], set[str]] = {}
        self._visited: set[tuple[int, int, bytes]] = set()
        self._queue: list[_Entity] = []
        self._meanings: dict[tuple[tuple[bytes, ...], ...], _Meaning] = {}
        self.parts: list[Part] = []
        self.noticed: dict[str, tuple[Quirk[quirks.Rule], str]] = {}
        self.over: dict[str, str] = {}
        self._kept = 0
        for part in known:
            self._known.setdefault(_key(part.data, text=part.declared.startswith("text/")), set()).update(part.names or ("",))

    def walk(self, mail: bytes) -> None:
        """Read `mail` in every way that the budget allows."""
        try:
            view = b""
            for label, view in _views(mail):
                self._work(view)
                self._queue.append(_Entity(view, "", 0, label, firm=True, default=b"text/plain"))
                self._drain()
            for swept in (mail,) if view == mail else (mail, view):
                for data in quirks.SWEEP.derive(swept):
                    self._leaf(_Leaf(data, "", 1, quirks.SWEEP.id))
                self._drain()
        except BudgetError as error:
            self.over.setdefault(error.limit, error.where)

    def _work(self, data: bytes) -> None:
        self._left -= len(data)
        self._items -= 1
        if self._left < 0 or self._items < 0:
            raise BudgetError("readings")
        if not self._items & 63 or len(data) > _LARGE:
            self._budget.time()

    def _drain(self) -> None:
        while self._queue:
            entity = self._queue.pop()
            key = (*_key(entity.data), entity.default)
            if entity.firm:
                self._judge(entity)
            if key not in self._visited:
                self._visited.add(key)
                self._read(entity)

    def _read(self, entity: _Entity) -> None:
        seen = set()
        for label, place in _places(entity):
            key = _key(place.block), _key(place.body)
            if key in seen:
                continue
            seen.add(key)
            self._work(place.body)
            self._body(entity, place.body, self._meaning(place.block), label or entity.label)

    def _meaning(self, block: bytes) -> _Meaning:
        """The same fields stand before many bodies, in many views of a mail; they are taken apart once."""
        fields = _fields(block)
        key = tuple(map(tuple, fields))
        if key not in self._meanings:
            self._meanings[key] = _meaning(fields)
        return self._meanings[key]

    def _judge(self, entity: _Entity) -> None:
        """Apply the rules to the header in its plain frame; a piece that was only guessed to be a part is not judged."""
        place = header.frame(entity.data, 0, len(entity.data))
        fields = derive.odd_names(entity.data[place.start : place.end])
        for rule in quirks.RULES:
            if rule.id not in self.noticed and rule.derive(fields):
                self.noticed[rule.id] = rule, entity.path

    def _body(self, entity: _Entity, body: bytes, meaning: _Meaning, label: str) -> None:
        tokens = meaning.tokens or {entity.default}
        declared = min(tokens).decode("latin-1")
        for row, content in _contents(body, meaning.encodings):
            why = row or label
            children = self._split(entity, content, meaning, why)
            if entity.depth < DEEPEST and (any(token.startswith(b"message") for token in tokens) or header.begins_mail(content)):
                self._queue.append(_Entity(content, entity.path, entity.depth + 1, why, entity.firm, b"text/plain"))
            if not children or content is not body:
                self._leaf(_Leaf(content, entity.path, entity.depth, why, declared, meaning.called, meaning.charsets))

    def _split(self, entity: _Entity, content: bytes, meaning: _Meaning, label: str) -> int:
        boundaries = tuple(text for text in meaning.boundaries if b"--" + text in content)
        default = b"message/rfc822" if any(b"digest" in text.lower() for text in meaning.types) else b"text/plain"
        count = 0
        if entity.depth >= DEEPEST:
            return 0
        for row in quirks.SPLITS:
            if row.trigger and not row.trigger(content):
                continue
            firm = entity.firm and row is quirks.SPLITS[0]
            for piece in row.derive(content, boundaries):
                count += 1
                self._work(piece)
                path = f"{entity.path}.{count}" if entity.path else str(count)
                self._queue.append(_Entity(piece, path, entity.depth + 1, label or row.id, firm, default))
        return count

    def _leaf(self, leaf: _Leaf) -> None:
        self._work(leaf.data)
        self._add(leaf, leaf.data, leaf.called, leaf.label)
        if legacy.hinted(leaf.data):
            for file in legacy.files(leaf.data):
                self._add(leaf, file.data, names.collect((file.name,)), leaf.label)
        for declared in leaf.charsets or ("",) if leaf.declared.startswith("text") else ():
            for text in charset.in_utf8(leaf.data, declared):
                self._add(leaf, text, leaf.called, leaf.label)

    def _add(self, leaf: _Leaf, data: bytes, called: tuple[str, ...], label: str) -> None:
        known = self._known.setdefault(_key(data, text=leaf.declared.startswith("text/")), set())
        if not data or (known and known.issuperset(called)) or (not called and "" in known):
            return
        self._budget.part(min(leaf.depth, self._budget.limits.depth), leaf.path)
        self._budget.content(len(data), leaf.path)
        self._kept += len(data)
        if self._kept > _KEPT:
            raise BudgetError("readings", leaf.path)
        known.update(called or ("",))
        first = leaf.charsets[0] if leaf.charsets else ""
        self.parts.append(Part(leaf.path or "1", data, called, leaf.declared, reading=label or _PLAIN, charset=first, depth=leaf.depth))
        if leaf.depth < DEEPEST and header.begins_mail(data):
            self._queue.append(_Entity(data, leaf.path, leaf.depth + 1, label, firm=False, default=b"text/plain"))


def _key(data: Buffer, *, text: bool = False) -> tuple[int, int]:
    """What tells contents apart: length and Python's keyed hash (SipHash with a secret of this process).

    Texts that differ only in how blank the blanks between their words are count as one.
    """
    whole = bytes(data)
    if text and len(whole) <= _LARGE and not _CONTROL.search(whole):
        whole = b" ".join(whole.split())
    return len(whole), hash(whole)


def _views(mail: bytes) -> Iterator[tuple[str, bytes]]:
    """The mail as it stands, as each row of the stage MAIL rewrites it, and as all of them together do."""
    yield "", mail
    together = mail
    for row in quirks.MAIL:
        if row.trigger is None or row.trigger(mail):
            yield row.id, row.derive(mail)
            together = row.derive(together)
    if together != mail:
        yield quirks.MAIL[0].id, together


def _places(entity: _Entity) -> Iterator[tuple[str, derive.Place]]:
    """Each header and body; what was only guessed to be a part and names no content field is a text as a whole."""
    data = entity.data
    if not entity.firm and entity.default == b"text/plain" and b"content" not in data.lower():
        yield "", derive.Place(b"", data)
        return
    plain = header.frame(data, 0, len(data))
    yield "", derive.Place(data[plain.start : plain.end], data[plain.body :])
    for row in quirks.FRAMES:
        if row.trigger is None or row.trigger(data):
            for place in row.derive(data):
                yield row.id, place


def _fields(block: bytes) -> derive.Fields:
    """The content fields that any row of the stage FIELD finds, each value once, the plain ones first."""
    merged = derive.Fields([], [], [], [])
    for row in quirks.FIELDS:
        if row.trigger is None or row.trigger(block):
            for known, found in zip(merged, row.derive(block), strict=True):
                known.extend([text[:_LONGEST_VALUE] for text in found if text not in known][:_MOST_VALUES])
    return merged


def _variants(rows: list[bytes]) -> list[bytes]:
    """Each value, as each row of the stage VALUE rewrites it, and as all of them together do."""
    found: dict[bytes, None] = {}
    for text in rows:
        found[text] = None
        together = text
        for row in quirks.VALUES:
            if row.trigger is None or row.trigger(text):
                found[row.derive(text)] = None
                together = row.derive(together)
        found[together] = None
    return list(found)


def _meaning(fields: derive.Fields) -> _Meaning:
    types = _variants(fields.types)
    return _Meaning(
        types,
        {value.media_type(text) for text in types},
        value.candidates(types, b"boundary"),
        names.of_fields(fields.types, fields.dispositions, fields.descriptions),
        tuple(text.decode("latin-1").lower() for text in value.candidates(types, b"charset")),
        _variants(fields.encodings),
    )


def _contents(body: bytes, rows: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """The body, and what each encoding that some reader may read in the fields makes of it: (row of BODIES or "", content)."""
    yield "", body
    encodings = dict.fromkeys(encoding for text in rows for encoding in sorted(derive.encoding_of(text)))
    for encoding in encodings:
        plain, sound = transfer.decode(encoding, body)
        yield "", plain
        for row in () if sound else quirks.BODIES.get(encoding, ()):
            for content in row.derive(body):
                yield row.id, content
    if len(encodings) > 1:
        for content in quirks.IN_TURN.derive(body, tuple(encodings)):
            yield quirks.IN_TURN.id, content
