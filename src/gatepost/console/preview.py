"""A held mail as text that is safe to look at: header fields, what parts it has, what its texts say.

What it does: reads the mail as its plain reading goes, turns web pages into their words, and makes invisible characters visible.
Not its job: opening archives, showing pictures, following links: nothing is decoded beyond MIME, nothing is ever run or fetched.
Raises: nothing, on any bytes.
"""

from __future__ import annotations

import hashlib
import time
import unicodedata
from dataclasses import dataclass

from gatepost.console.page_text import page_text
from gatepost.mail.model import Budget, Limits, Part
from gatepost.mail.parse import read, words

SHOWN = ("from", "to", "cc", "reply-to", "subject", "date", "message-id")
LONGEST_FIELD = 1000
LONGEST_TEXT = 50_000
MOST_PARTS = 200
LIMITS = Limits(parts=1000, cpu=1.0, wall=2.0)


@dataclass(frozen=True, slots=True)
class PartView:
    """One part: where it stands, what it is called and claims to be, how big it is, its SHA-256, and its text if it has one."""

    path: str
    names: tuple[str, ...]
    declared: str
    size: int
    digest: str
    text: str = ""
    is_page: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a person may see of a mail. `others` parts are left out of the list."""

    fields: tuple[tuple[str, str], ...]
    parts: tuple[PartView, ...]
    others: int = 0


def preview(raw: bytes) -> Preview:
    """What a mail says, as harmless text."""
    reading = read(raw, Budget(LIMITS, cpu=time.process_time, wall=time.monotonic))
    fields = ((field.name, visible(words.shown(field.value)[:LONGEST_FIELD])) for field in reading.headers.fields)
    shown = tuple((name, value) for name, value in fields if name.lower() in SHOWN)
    parts = tuple(_part(part) for part in reading.parts[:MOST_PARTS])
    return Preview(shown, parts, max(len(reading.parts) - MOST_PARTS, 0))


def _part(part: Part) -> PartView:
    names = tuple(dict.fromkeys(visible(name)[:LONGEST_FIELD] for name in part.names))
    is_page = part.declared == "text/html"
    text = ""
    if part.declared.startswith("text/") and part.disposition != "attachment":
        raw = words.text(bytes(part.data[: LONGEST_TEXT * 4]), part.charset)
        text = visible(page_text(raw) if is_page else raw, lines=True)[:LONGEST_TEXT]
    digest = hashlib.sha256(part.data).hexdigest()
    return PartView(part.path, names, visible(part.declared), len(part.data), digest, text, is_page)


def visible(text: str, *, lines: bool = False) -> str:
    """The text with every character that hides, moves or turns others (controls, zero width, bidirectional marks) replaced by its code."""
    return "".join(_visible(character, lines=lines) for character in text.replace("\r\n", "\n"))


def _visible(character: str, *, lines: bool) -> str:
    if character.isprintable() or (lines and character in "\n\t"):
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return f"\u27e8U+{ord(character):04X}\u27e9"
