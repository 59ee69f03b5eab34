"""Texts whose charset hides ASCII: UTF-16, UTF-32, UTF-7, EBCDIC.

What it does: gives such a text again in UTF-8, because engines look for ASCII.
Not its job: texts in any charset that contains ASCII, which engines read as they are.
Raises: nothing.
"""

from __future__ import annotations

import re

from gatepost.mail.parse import words

_HIDING = frozenset(
    {"utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"}
    | {"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140", "hz"}
)
_MARKS = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_UTF7 = re.compile(rb"\+[A-Za-z0-9+/]{3,}-?")
_WIDE = re.compile(rb"\0(?:[\t\n\r -~]\0){3}")
"""ASCII in UTF-16: the zeros stand at even places when the high byte comes first, at odd ones when the low byte does."""


def _guesses(data: bytes, declared: str) -> list[str]:
    name = words.codec_name(declared.replace("unicode-1-1-utf-7", "utf-7")) if declared else ""
    found = [name] if name in _HIDING else []
    found += [charset for mark, charset in _MARKS if data.startswith(mark)]
    return found or _unmarked(data)


def _unmarked(data: bytes) -> list[str]:
    """What a text without a mark may be that holds ASCII in UTF-16; nothing for a picture that merely holds zeros."""
    found: dict[str, None] = {}
    for match in _WIDE.finditer(data):
        found["utf-16-le" if match.start() % 2 else "utf-16-be"] = None
        if len(found) > 1:
            break
    return list(found)


def in_utf8(data: bytes, declared: str) -> list[bytes]:
    """The text again in UTF-8, once for each charset that hides ASCII and may be meant; empty for any other text."""
    out = []
    for name in dict.fromkeys(_guesses(data, declared)):
        text = data.decode(name, "replace")
        text = text.removeprefix("\ufeff")
        out.append(text.encode("utf-8", "replace"))
    return out


def in_utf7(data: bytes) -> list[bytes]:
    """The text read as UTF-7 although it does not say so; empty when nothing in it is shifted."""
    return [data.decode("utf-7", "replace").encode("utf-8", "replace")] if _UTF7.search(data) else []
