"""File names as a mail reader or an operating system would use them, whatever a sender did to disguise them. Pure.

What it does: gives the extensions under which a name could be opened, and tells tricks that only deceivers use.
Not its job: which extensions are banned (`banned`).
Raises: nothing.
"""

from __future__ import annotations

import re
import unicodedata

# U+202A-U+202E and U+2066-U+2069 turn the order of letters round; marks like U+200F, which honest Hebrew and Arabic names have, do not.
_OVERRIDES = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_CLASS_ID = re.compile(r"\.\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}$", re.IGNORECASE)
_MANY_SPACES = re.compile(r"\s{8,}\.\w+\s*$")
_SEPARATORS = re.compile(r"[/\\]")


def extensions(name: str) -> tuple[str, ...]:
    """Give the extensions, in lower case without dot, that systems could see at the end of `name`.

    Names are cut where some system cuts them: at NUL, before trailing dots and spaces (Windows), before ":" (a stream of NTFS).
    """
    return tuple(dict.fromkeys(found for form in _forms(name) if (found := _extension(form))))


def trick(name: str) -> str:
    """Name the trick in a file name that no honest one has, or ""."""
    if _OVERRIDES.intersection(name):
        return "right-to-left"
    if _CLASS_ID.search(name.rstrip(" .")):
        return "class-id"
    if _MANY_SPACES.search(name):
        return "hidden-extension"
    return ""


def _forms(name: str) -> tuple[str, ...]:
    plain = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    base = _SEPARATORS.split(plain)[-1]
    return base, base.partition("\0")[0], base.partition(":")[0], base.replace("\0", "")


def _extension(base: str) -> str:
    end = base.rstrip(" .\t\r\n\"'>\u00a0")
    return end.rpartition(".")[2].strip().lower() if "." in end else ""
