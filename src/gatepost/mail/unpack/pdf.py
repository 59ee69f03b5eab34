"""PDF files: embedded files, scripts and actions, read by looking for objects, not by trusting the file's own tables.

What it does: decodes every stream that could carry something, yields embedded files and scripts, and says what acts by itself.
Not its job: pages, pictures, fonts.
Raises: `BudgetError`.

Objects are found wherever they stand (ISO 32000-1 7.3.10), so damaged tables, earlier revisions and unlinked objects do not matter.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from gatepost.mail.model import Kind
from gatepost.mail.unpack.filetype import category, identify
from gatepost.mail.unpack.magic import Category
from gatepost.mail.unpack.opened import PDF_SCRIPT, Member, Opened, UnpackError
from gatepost.mail.unpack.pdf_filters import PICTURES, decode
from gatepost.system.foreign import attempt

_OBJECT = re.compile(rb"(?<!\d)(\d{1,10})[\s\0]+\d{1,5}[\s\0]+obj(?![a-z])")
_BODY_END = re.compile(rb"\bendobj\b|\bstream\r?\n|\bstream\r|\bobj\b")
_NAME_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_LENGTH = re.compile(rb"/Length[\s\0]+(\d{1,10})(?![\s\0]+\d+[\s\0]+R)")
_COMMENT = re.compile(rb"%[^\r\n]*")
_FILTER = re.compile(rb"/F(?:ilter)?[\s\0]*(\[[^\]]*\]|/[^\s/<>\[\]()]+|\d{1,10}[\s\0]+\d{1,5}[\s\0]+R\b)")
_PARAMETERS = re.compile(rb"/D(?:ecodeParms|P)[\s\0]*(\[[^\]]*\]|\d{1,10}[\s\0]+\d{1,5}[\s\0]+R\b)")
_VALUE = re.compile(rb"[\s\0]*(?:\[[^\]]*\]|/[^\s/<>\[\]()]+|<<[^>]*>>)")
_FIRST = re.compile(rb"/First[\s\0]+(\d{1,10})")
_NAME = re.compile(rb"/([^\s/<>\[\]()%]+)")
_PREDICTOR = re.compile(rb"/Predictor[\s\0]+(?:1[0-5]|2)\b")
_EMBEDDED_REFERENCE = re.compile(rb"/EF[\s\0]*<<([^>]*)>>")
_SCRIPT_REFERENCE = re.compile(rb"/JS[\s\0]+(\d{1,10})[\s\0]+\d+[\s\0]+R")
_REFERENCE = re.compile(rb"(\d{1,10})[\s\0]+\d+[\s\0]+R")
_SCRIPT_TEXT = re.compile(rb"/JS[\s\0]*\(((?:[^\\)]|\\[\s\S]){1,100000})\)")
_QUIET = re.compile(rb"/Subtype[\s\0]*/(?:Image|Type1C|CIDFontType0C|OpenType|Form)\b|/Type[\s\0]*/(?:XRef|Metadata)\b|/Length1[\s\0]+\d")
_ACTS = (
    (re.compile(rb"/S[\s\0]*/Launch\b"), "pdf-launch", "the PDF starts a program when it is opened or clicked"),
    (re.compile(rb"/S[\s\0]*/(?:GoToE|ImportData)\b"), "pdf-embedded-action", "the PDF opens a file inside itself"),
    (re.compile(rb"/RichMedia\b|/Subtype[\s\0]*/(?:Flash|3D)\b"), "pdf-rich-media", "the PDF carries active media"),
)
_SCRIPT = re.compile(rb"/S[\s\0]*/JavaScript\b|/JS[\s\0]*[(<\d]")
_AUTOMATIC = re.compile(rb"/OpenAction\b|/JavaScript[\s\0]+\d+[\s\0]+\d+[\s\0]+R|/JavaScript[\s\0]*<<|/AA[\s\0]*<<[^>]*/(?:O|WC|PO)\b")
_OBJECTS_MOST = 200_000
_WORTH = frozenset(
    {
        Category.EXECUTABLE,
        Category.SCRIPT,
        Category.SHORTCUT,
        Category.ARCHIVE,
        Category.DISK,
        Category.DOCUMENT,
        Category.MACRO,
        Category.MAIL,
    }
)


@dataclass(frozen=True, slots=True)
class _Object:
    number: int
    dictionary: bytes
    stream: memoryview | None


def read_pdf(opened: Opened) -> Iterator[Member]:
    """Embedded files, scripts, and streams whose content is a file."""
    data = opened.data[opened.offset :] if opened.offset else opened.data
    if re.search(rb"/Encrypt[\s\0]+\d+[\s\0]+\d+[\s\0]+R|/Encrypt[\s\0]*<<", data):
        plain = _decrypted(opened, data)
        if plain is None:
            opened.find(Kind.ENCRYPTED, "pdf-encrypted", "the PDF is encrypted and no password in the mail opens it")
            return
        data = plain
    yield from _Pdf(opened, data).members()


def _decrypted(opened: Opened, data: bytes) -> bytes | None:
    """The file without encryption; most need no password to be read."""
    pikepdf = import_module("pikepdf")
    for password in ("", *opened.passwords):
        opened.budget.time(opened.part.path)
        plain = attempt(_rewrite, pikepdf, data, password)
        if isinstance(plain, bytes):
            opened.meter.spend(len(plain))
            return plain
        if not isinstance(plain, pikepdf.PasswordError):
            return None
    return None


def _rewrite(pikepdf: object, data: bytes, password: str) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(data), password=password) as document:  # type: ignore[attr-defined]
        document.save(out, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)  # type: ignore[attr-defined]
    return out.getvalue()


class _Pdf:
    """One PDF in work."""

    def __init__(self, opened: Opened, data: bytes) -> None:
        self.opened = opened
        self.data = data
        self.objects: list[_Object] = []
        self.values: dict[int, bytes] = {}
        self.packed: dict[int, bytes] = {}
        self.embedded: set[int] = set()
        self.scripts: set[int] = set()
        self.script = self.automatic = False

    def members(self) -> Iterator[Member]:
        self.objects = list(self._objects())
        self.values = {thing.number: thing.dictionary for thing in self.objects}
        for thing in self.objects:
            if thing.stream is not None and b"/ObjStm" in thing.dictionary:
                self.packed[thing.number] = self._decode(thing)
        for dictionary in [*(thing.dictionary for thing in self.objects), *self.packed.values(), self.data[-2048:]]:
            yield from self._dictionary(dictionary)
        if self.script and self.automatic:
            self.opened.find(Kind.SUSPECT, "pdf-javascript", "the PDF runs a script when it is opened")
        for thing in self.objects:
            if thing.stream is not None and thing.number not in self.packed:
                yield from self._stream(thing)

    def _objects(self) -> Iterator[_Object]:
        data, at, view = self.data, 0, memoryview(self.data)
        for _ in range(_OBJECTS_MOST):
            self.opened.budget.time(self.opened.part.path)
            match = _OBJECT.search(data, at)
            if match is None:
                return
            end = _BODY_END.search(data, match.end())
            at = end.end() if end else len(data)
            dictionary = data[match.end() : end.start() if end else len(data)]
            if b"#" in dictionary:
                dictionary = _NAME_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), dictionary)
            stream = None
            if end and end[0].startswith(b"stream"):
                stop = self._stream_end(dictionary, at)
                stream = view[at:stop]
                at = stop
            elif end and end[0] == b"obj":
                at = max(match.end(), end.start() - 24)
            yield _Object(int(match[1]), dictionary, stream)
        self.opened.find(Kind.UNCHECKED, "pdf-objects", f"more than {_OBJECTS_MOST} objects in a PDF; the rest was not looked at")

    def _stream_end(self, dictionary: bytes, start: int) -> int:
        length = _LENGTH.search(dictionary)
        if length:
            stop = start + int(length[1])
            if self.data[stop : stop + 20].lstrip().startswith(b"endstream"):
                return stop
        stop = self.data.find(b"endstream", start)
        return stop if stop >= 0 else len(self.data)

    def _dictionary(self, text: bytes) -> Iterator[Member]:
        """Look for what acts, and for references to streams that matter."""
        if b"/EF" in text:
            for body in _EMBEDDED_REFERENCE.findall(text):
                self.embedded.update(int(number) for number in _REFERENCE.findall(body))
        if b"/J" in text:
            self.script = self.script or bool(_SCRIPT.search(text))
            self.scripts.update(int(number) for number in _SCRIPT_REFERENCE.findall(text))
            for match in _SCRIPT_TEXT.finditer(text):
                self.opened.meter.spend(len(match[1]))
                yield Member("script.js", re.sub(rb"\\([()\\])", rb"\1", match[1]), PDF_SCRIPT)
        if b"/OpenAction" in text or b"/J" in text or b"/AA" in text:
            self.automatic = self.automatic or bool(_AUTOMATIC.search(text))
        for pattern, name, detail in _ACTS:
            if pattern.search(text):
                self.opened.find(Kind.SUSPECT, name, detail)

    def _stream(self, thing: _Object) -> Iterator[Member]:
        wanted = thing.number in self.embedded or b"/EmbeddedFile" in thing.dictionary
        script = thing.number in self.scripts
        if not wanted and not script and _QUIET.search(thing.dictionary):
            return
        parameters = _PARAMETERS.search(thing.dictionary) if wanted else None
        if wanted and _PREDICTOR.search(thing.dictionary + (self._resolved(parameters[1]) if parameters else b"")):
            self.opened.find(
                Kind.UNCHECKED, "pdf-predictor", "a file in the PDF is stored as if it were a picture, which is not undone here"
            )
        data = self._decode(thing, needed=wanted or script)
        if wanted:
            yield Member(f"object{thing.number}", data)
        elif script:
            yield Member(f"object{thing.number}.js", data, PDF_SCRIPT)
        elif data and category(identify(data)) in _WORTH:
            yield Member(f"object{thing.number}", data, "pdf-stream")

    def _resolved(self, text: bytes) -> bytes:
        """A value with what its references stand for in their places."""
        return _REFERENCE.sub(lambda match: self._value(int(match[1])), text) if b"R" in text else text

    def _value(self, number: int) -> bytes:
        """An object by its number, one in an object stream too: there numbers and places stand first (ISO 32000-1 7.5.7)."""
        if number in self.values:
            return self.values[number]
        listed = re.compile(rb"(?:\A|\s)%d\s+(\d{1,10})\b" % number)
        for stream, text in self.packed.items():
            self.opened.budget.time(self.opened.part.path)
            first = _FIRST.search(self.values[stream])
            place = listed.search(text, 0, int(first[1])) if first else None
            if first and place:
                value = _VALUE.match(text, int(first[1]) + int(place[1]))
                return value[0] if value else b""
        return b"/Missing"

    def _decode(self, thing: _Object, *, needed: bool = False) -> bytes:
        assert thing.stream is not None
        found = _FILTER.search(thing.dictionary) or _FILTER.search(_COMMENT.sub(b" ", thing.dictionary))
        filters = tuple(_NAME.findall(self._resolved(found[1]))) if found else ()
        if filters and filters[0] in PICTURES:
            return bytes(thing.stream) if needed else b""
        try:
            gathered = self.opened.gather(decode(thing.stream, filters, lambda chunks: self.opened.gather(chunks).data))
        except UnpackError as error:
            if needed:
                self.opened.find(Kind.UNCHECKED, "pdf-filter", str(error))
            return bytes(thing.stream)
        if gathered.error and needed and not gathered.data:
            self.opened.find(Kind.UNCHECKED, "damaged", f"a file in the PDF: {gathered.error}")
        return gathered.data
