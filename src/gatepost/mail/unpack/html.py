"""Web pages, SVG, scripts and letters: what is written into them, and whether they build a file on the reader's machine.

What it does: yields decoded data: links and literals; names HTML smuggling by its structure (MITRE ATT&CK T1027.006).
Not its job: links to elsewhere.
Raises: `BudgetError`.

A page that makes a file needs two things, whatever the encoding: something that makes an object of bytes, and something that offers it
for saving. Both together in a mail are SUSPECT; a script alone is not (7 % of honest mail has one).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost.mail.model import Kind
from gatepost.mail.unpack.literals import data_links, decoded
from gatepost.mail.unpack.opened import Member, Opened

# All looked for in lower case; `_MAKES`, `_OFFERS` and `_REWRITES` also without blanks and with joined literals joined.
_SCRIPTED = (
    b"<script",
    b"javascript:",
    b"<embed",
    b"<object",
    b"onload",
    b"onerror",
    b"onclick",
    b"onmouse",
    b"onfocus",
    b"onbegin",
    b"ontoggle",
    b"onanimation",
)
_MAKES = (
    b"newblob",
    b"newfile(",
    b"uint8array",
    b"mssaveblob",
    b"mssaveoropenblob",
    b"blobbuilder",
    b"atob",
    b"fromcharcode",
    b"unescape(",
    b"decodeuricomponent",
)
_OFFERS = (
    b"createobjecturl", b"mssaveblob", b"mssaveoropenblob", b".download", b"['download']", b'["download"]', b"'download',", b'"download",', b"saveas(",
    b"data:application/octet-stream", b"data:application/zip", b"data:application/x-", b"showsavefilepicker",
)  # fmt: skip
_REWRITES = tuple(
    run + unpack
    for run in (b"document.write(", b"document.writeln(", b"eval(", b"newfunction(", b".innerhtml=")
    for unpack in (b"unescape(", b"atob(", b"window.atob(", b"decodeuricomponent(", b"string.fromcharcode(")
)
_PIECES = re.compile(rb"[\"'`]\+[\"'`]")
_MOSTLY = 0.9
_REFRESH = re.compile(rb"http-equiv\s*=\s*[\"']?refresh[^>]*url\s*=\s*[\"']?\s*data:")


def read_markup(opened: Opened) -> Iterator[Member]:
    """A page or picture with markup."""
    text = _narrow(bytes(opened.body))
    lower = text.lower()
    scripted = any(mark in lower for mark in _SCRIPTED)
    if scripted:
        _judge(opened, lower)
    if b"refresh" in lower and b"data:" in lower and _REFRESH.search(lower):
        opened.find(Kind.SUSPECT, "html-data-redirect", "the page replaces itself by content hidden in a data: link")
    yield from _literals(opened, text, script=scripted)


def read_script(opened: Opened) -> Iterator[Member]:
    """A script file."""
    text = _narrow(bytes(opened.body))
    _judge(opened, text.lower())
    yield from _literals(opened, text, script=True)


def read_text(opened: Opened) -> Iterator[Member]:
    """A plain text, which may quote or be anything."""
    text = _narrow(bytes(opened.body))
    yield from _literals(opened, text, script=b"=" in text and (b"'" in text or b'"' in text))


def _judge(opened: Opened, lower: bytes) -> None:
    dense = _PIECES.sub(b"", lower.translate(None, b" \t\r\n"))
    if any(mark in dense for mark in _OFFERS) and any(mark in dense for mark in _MAKES):
        opened.find(Kind.SUSPECT, "html-smuggling", "a script in it builds a file on the reader's machine and offers it for saving")
    elif any(mark in dense for mark in _REWRITES):
        opened.find(Kind.SUSPECT, "html-hidden-script", "a script in it unpacks and runs hidden code")


def _literals(opened: Opened, text: bytes, *, script: bool) -> Iterator[Member]:
    if b"data:" in text or b"DATA:" in text:
        for number, (declared, data) in enumerate(data_links(text), 1):
            if data:
                opened.meter.spend(len(data))
                yield Member(f"link{number}", data, "data-link", declared=declared)
    tick = lambda: opened.budget.time(opened.part.path)  # noqa: E731 - one line says it
    for number, data in enumerate(decoded(text, tick, script=script), 1):
        narrow = _narrow(data)
        opened.meter.spend(len(narrow))
        yield Member(f"literal{number}", narrow, "literal")


def _narrow(text: bytes) -> bytes:
    """UTF-16, with a mark or by its zeros, as UTF-8."""
    head = text[:400]
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return text.decode("utf-16", "replace").encode("utf-8", "replace")
    for first, charset in ((0, "utf-16-le"), (1, "utf-16-be")):
        letters, zeros = head[first::2], head[1 - first :: 2]
        if zeros and zeros.count(0) > _MOSTLY * len(zeros) and not letters.count(0):
            return text.decode(charset, "replace").encode("utf-8", "replace")
    return text
