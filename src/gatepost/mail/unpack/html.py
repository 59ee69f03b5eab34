"""Web pages, SVG, scripts and letters: what is written into them, and whether they build a file on the reader's machine.

What it does: yields decoded data: links and literals; names HTML smuggling by its structure (MITRE ATT&CK T1027.006).
Not its job: links to elsewhere.
Raises: `BudgetError`.

A page that makes a file needs two things, whatever the encoding: something that makes an object of bytes, and something that offers it
for saving. Both together in a mail are SUSPECT; a script alone is not (7 % of honest mail has one).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from gatepost.mail.model import Kind
from gatepost.mail.unpack.literals import data_links, decoded
from gatepost.mail.unpack.opened import Member, Opened
from gatepost.mail.unpack.wide import bare, narrow

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
_STRETCH = 1 << 20
_CELL = re.compile(rb"(?:^|[,;\t\"\n])[ \t\"]{0,8}[=+@-][^|\r\n,;]{0,64}\|[ \t]{0,8}'[^'\r\n]{1,500}'!")
_PIECES = re.compile(rb"[\"'`]\+[\"'`]")
_MASKED = re.compile(  # a letter, a digit, ":" or "<" by number or name (HTML 13.2.5.72)
    rb"&#(?:x0*(?:3[0-9ac]|[46][1-9a-f]|[57][0-9a])|0*(?:4[89]|5[0-8]|60|6[5-9]|[78]\d|90|9[789]|1[01]\d|12[012]))(?:;|(?![0-9a-f]))"
    rb"|&(?:colon|newline|tab);|srcdoc\s*=",
    re.IGNORECASE,
)
_FOLD = re.compile(rb"\r?\n[ \t]")
_META = re.compile(rb"<meta\b(?:\"[^\"]*+\"|'[^']*+'|[^>\"'])*+")
_REFRESH = re.compile(rb"http-equiv\s*=\s*[\"']?\s*refresh")
_TO_DATA = re.compile(rb"content\s*=\s*[\"']?[\d.\s;,]*(?:url\s*=\s*)?[\"']?\s*data:")  # HTML 4.2.5.3, "refresh"


def read_markup(opened: Opened) -> Iterator[Member]:
    """A page or picture with markup."""
    written = bare(bytes(opened.body))
    for text in (written, *_unmasked(written)):
        lower = text.lower()
        scripted = any(mark in lower for mark in _SCRIPTED)
        if scripted:
            _judge(opened, lower)
        if (
            b"refresh" in lower
            and b"data:" in lower
            and any(_REFRESH.search(tag[0]) and _TO_DATA.search(tag[0]) for tag in _META.finditer(lower))
        ):
            opened.find(Kind.SUSPECT, "html-data-redirect", "the page replaces itself by content hidden in a data: link")
        yield from _literals(opened, text, script=scripted)


def _unmasked(text: bytes) -> Iterator[bytes]:
    """The page with its character references replaced, if letters are written as such, which no honest editor does."""
    if b"&" in text and _MASKED.search(text):
        yield html.unescape(text.decode("latin-1")).encode("latin-1", "replace")


def read_folded(opened: Opened) -> Iterator[Member]:
    """A calendar or a card, whose long lines are folded (RFC 5545 3.1, RFC 6350 3.2)."""
    text = _FOLD.sub(b"", bare(bytes(opened.body)))
    yield from _literals(opened, text, script=False)


def read_script(opened: Opened) -> Iterator[Member]:
    """A script file."""
    text = bare(bytes(opened.body))
    _judge(opened, text.lower())
    yield from _literals(opened, text, script=True)


def read_text(opened: Opened) -> Iterator[Member]:
    """A plain text, which may quote or be anything; as a file with cells it may tell a spreadsheet to start a program."""
    text = bare(bytes(opened.body))
    if opened.part.names and b"'!" in text and _CELL.search(text):
        opened.find(Kind.SUSPECT, "cell-starts-program", "a spreadsheet that opens this text is told to ask another program (DDE)")
    yield from _literals(opened, text, script=b"=" in text and (b"'" in text or b'"' in text))


def _judge(opened: Opened, lower: bytes) -> None:
    dense = _PIECES.sub(b"", lower.translate(None, b" \t\r\n"))
    if any(mark in dense for mark in _OFFERS) and any(mark in dense for mark in _MAKES):
        opened.find(Kind.SUSPECT, "html-smuggling", "a script in it builds a file on the reader's machine and offers it for saving")
    elif any(mark in dense for mark in _REWRITES):
        opened.find(Kind.SUSPECT, "html-hidden-script", "a script in it unpacks and runs hidden code")


def _has_link(text: bytes) -> bool:
    """Whether "data:" stands anywhere, in capitals or not; looked for in stretches, so that no second copy of the text is made."""
    return any(b"data:" in text[at : at + _STRETCH + 4].lower() for at in range(0, len(text), _STRETCH))


def _literals(opened: Opened, text: bytes, *, script: bool) -> Iterator[Member]:
    if _has_link(text):
        for number, (declared, data) in enumerate(data_links(text), 1):
            if data:
                opened.meter.spend(len(data))
                yield Member(f"link{number}", data, "data-link", declared=declared)
    tick = lambda: opened.budget.time(opened.part.path)  # noqa: E731 - one line says it
    for number, data in enumerate(decoded(text, tick, script=script), 1):
        content = narrow(data)
        opened.meter.spend(len(content))
        yield Member(f"literal{number}", content, "literal")
