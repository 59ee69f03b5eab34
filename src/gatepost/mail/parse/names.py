"""File names: every name under which some reader could show or save a part.

What it does: pure functions from header values to names, and from one name to its look-alikes.
Not its job: judging names (the engine `banned` reads `Part.names`).
Raises: nothing.
Sources: RFC 2183 2.3, RFC 2231, RFC 2047 5; Unicode TR 36 on overrides and look-alikes; Windows' rules for names
(trailing dots and blanks are dropped, "::$DATA" is the file itself).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from gatepost.mail.parse import value, words

_PLAIN = re.compile(r"[A-Za-z0-9_+=~-][A-Za-z0-9 _()+=~-]*(?:\.[A-Za-z0-9_+=~-]+)*")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_OVERRIDE = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BLANKS = re.compile(r"\s+")
_STREAM = re.compile(r":[^:]*(?::\$[A-Za-z]+)?$")
_ONE_WORD = re.compile(rb"[\w.-]+\.[A-Za-z0-9-]{1,24}")
_LONGEST = 4096
_MOST = 64


def has_override(name: str) -> bool:
    """Say whether the name holds a mark that changes the direction of writing, so that it is shown in another order."""
    return bool(_OVERRIDE.search(name))


def _alike(name: str) -> Iterator[str]:
    yield name
    flat = name if name.isascii() else unicodedata.normalize("NFKC", _INVISIBLE.sub("", name))
    yield flat
    if _CONTROL.search(flat):
        yield _CONTROL.split(name, maxsplit=1)[0]
        yield _CONTROL.sub("", flat)
    last = flat.replace("\\", "/").rpartition("/")[2]
    yield last
    yield last.rstrip(". ")
    if ":" in last:
        yield _STREAM.sub("", last).rstrip(". ")
    pieces = last.split()
    if pieces != [last]:
        yield _BLANKS.sub(" ", last)
        yield "".join(pieces)
    yield last.partition(";")[0]
    yield last.strip("\"'")
    if "%" in last:
        yield words.text(words.percent(last.encode("utf-8", "surrogatepass")))
    if "&" in last:
        yield re.sub(r"&#(\d{1,6});", lambda match: chr(min(int(match[1]), 0x10FFFF)), last)


def look_alikes(name: str) -> list[str]:
    """The name and every other name that a reader or an operating system makes of it, without empty ones."""
    short = name[:_LONGEST]
    if _PLAIN.fullmatch(short):
        return [short]
    once = dict.fromkeys(_alike(short))
    return [text for text in dict.fromkeys(again for text in once for again in _alike(text)) if text.strip()]


def collect(raw: Iterable[bytes]) -> tuple[str, ...]:
    """Names from raw bytes, with their look-alikes, in order and each once; at most 64."""
    found: dict[str, None] = {}
    for data in raw:
        found.update(dict.fromkeys(look_alikes(words.text(data))))
    return tuple(found)[:_MOST]


def of_fields(types: list[bytes], dispositions: list[bytes], descriptions: list[bytes]) -> tuple[str, ...]:
    """Every name that the fields of one part give it; a description counts only when it is all there is and looks like a file name."""
    found: list[bytes] = []
    for raw in (*dispositions, *types):
        if b"name" not in raw.lower():
            continue
        sound = value.parse(raw)
        for key in (b"filename", b"name"):
            if sound.sound:
                found += [sound.parameters[key]] if key in sound.parameters else []
            else:
                forms = dict.fromkeys((raw, value.without_comments(raw), words.unfold(raw), words.encoded_words(words.unfold(raw))))
                found += value.candidates(forms, key)
    if not found:
        found = [word for raw in descriptions if _ONE_WORD.fullmatch(word := raw.strip())]
    return collect(found) if found else ()
