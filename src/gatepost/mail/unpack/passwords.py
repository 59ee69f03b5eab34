"""Passwords that a mail's own text suggests for what is attached.

What it does: ranks candidates from subject, texts and file names, at most `MOST`.
Not its job: trying them.
Raises: nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import islice

MOST = 50
_TEXT_MOST = 50_000
_KEYWORDS = (
    "passphrase", "password", "passwort", "passcode", "pass", "kennwort", "losung", "pwd", "pw", "pin", "code", "key", "schl\u00fcssel", "schluessel",
    "geheimzahl", "zugangsdaten", "mot de passe", "mdp", "contrase\u00f1a", "clave", "senha", "parola", "wachtwoord", "has\u0142o", "jelsz\u00f3",
    "heslo", "salasana", "l\u00f6senord", "adgangskode", "\u015fifre", "\u043f\u0430\u0440\u043e\u043b\u044c", "\u5bc6\u7801", "\u5bc6\u78bc",
    "\u53e3\u4ee4", "\u30d1\u30b9\u30ef\u30fc\u30c9", "\ube44\ubc00\ubc88\ud638", "\uc554\ud638", "\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2",
)  # fmt: skip
_PLACES_MOST = 12
_SHORT_LETTER = 2000
_PARTICLES = "[\uc740\ub294\uc774\uac00\u306e\u306f\u304c\u3092\u662f\u4e3a\u7232]"
_LINK_WORDS = (
    r"(?:\s*(?:is|are|ist|lautet|sind|war|was|est|es|\u00e9|\u00e8|to open|for (?:the )?(?:file|archive|attachment|zip)|"
    r"f(?:\u00fc|ue)r (?:die |das |den )?(?:datei|archiv|anhang)|f(?:\u00fc|ue)r|for|zum|the|das|der|die|file|archive|archiv|zip|attachment|"
    rf"anhang|datei|{_PARTICLES}|[:=\-\u2013\u2014>\u2192*#|\uff1a]))*"
)
_QUOTES = "\"'`*\u201e\u201c\u201d\u00ab\u00bb\u201a\u2018\u2019"
_AFTER = re.compile(rf"(?![a-z]){_LINK_WORDS}\s*[{_QUOTES}<(\[_]*([^\s{_QUOTES}<>\[\]]{{2,64}})", re.IGNORECASE)
_BEFORE = re.compile(
    rf"(?<!\S)[{_QUOTES}]*([^\s{_QUOTES}<>\[\]]{{3,64}})[{_QUOTES}]*\s+(?:is|as|ist|als|est|es)\s+(?:the |your |das |dein |ihr |le |la )?\Z",
    re.IGNORECASE,
)
_BEFORE_MOST = 120
_QUOTED = re.compile(rf"[{_QUOTES}]([^\s{_QUOTES}]{{3,40}})[{_QUOTES}]")
_SPACED = re.compile(r"(?<!\S)((?:\S[ \t]){3,40}\S)(?!\S)")
_NUMBER = re.compile(r"(?<![\w.])(\d{3,10})(?![\w.])")
_TAG = re.compile(r"<[^>]{0,2000}>")
_BLOCK_TAG = re.compile(r"<(?:br|/?p|/?div|/?td|/?tr|/?li|/?h\d)\b[^>]{0,2000}>", re.IGNORECASE)
_SAID = re.compile(r"\b(?:alt|title|aria-label)\s*=\s*(?:\"([^\"<>]{3,200})\"|'([^'<>]{3,200})')", re.IGNORECASE)
_SAID_MOST = 20
_NAME_PIECE = re.compile(r"[A-Za-z0-9!@#$%&*+=?^~]{3,40}")
_EDGE = f".,;:!?()[]{{}}<>{_QUOTES}"
_COMMON = ("infected", "password", "1234", "12345", "123456", "virus", "malware")
_SHORT_TEXT = 60


def candidates(texts: Iterable[str], subject: str = "", names: Iterable[str] = ()) -> tuple[str, ...]:
    """Likely passwords, best first: after a word for "password", quoted, spelt out, in the subject, in file names, numbers, common ones."""
    plain = [_plain(text) for text in texts if _is_prose(text)]
    found: dict[str, None] = {}
    for source in (
        _named([subject, *plain]),
        _marked(plain),
        _of_subject(subject),
        _of_names(names),
        _numbers(plain),
        _words(plain),
        _COMMON,
    ):
        for candidate in source:
            for form in _forms(candidate):
                found.setdefault(form)
            if len(found) >= MOST:
                return tuple(found)[:MOST]
    return tuple(found)


def _is_prose(text: str) -> bool:
    """Whether a text has words: no base64 and the like."""
    return len(text) < _SHORT_LETTER or text.count(" ") + text.count("\n") > len(text) // 40


def _plain(text: str) -> str:
    """A text without tags: block tags part words, others do not. What a page says in place of a picture stands at the end."""
    text = text[:_TEXT_MOST]
    if "<" not in text:
        return text
    said = (match[1] or match[2] for match in islice(_SAID.finditer(text), _SAID_MOST))
    return html.unescape("\n".join((_TAG.sub("", _BLOCK_TAG.sub("\n", text)), *said)))


def _forms(candidate: str) -> Iterator[str]:
    trimmed = candidate.strip(_EDGE)
    if trimmed:
        yield trimmed
    half = candidate.rstrip(f".,;:)]{_QUOTES}")
    if half and half != trimmed:
        yield half
    if candidate not in {trimmed, half}:
        yield candidate


def _named(texts: Iterable[str]) -> Iterator[str]:
    """What stands behind or before a word for "password"."""
    for text in texts:
        lower = text.lower()
        if len(lower) != len(text):
            text = lower  # noqa: PLW2901 - a letter that grows in lower case moves all places
        for keyword in _KEYWORDS:
            for at in _places(lower, keyword):
                after = _AFTER.match(text, at + len(keyword))
                before = _BEFORE.search(text[max(0, at - _BEFORE_MOST) : at])
                yield from (match[1] for match in (after, before) if match)


def _places(lower: str, keyword: str) -> Iterator[int]:
    """Where a keyword begins a word."""
    at, found = lower.find(keyword), 0
    while at >= 0 and found < _PLACES_MOST:
        if not (keyword.isascii() and at and lower[at - 1].isalpha()):
            found += 1
            yield at
        at = lower.find(keyword, at + len(keyword))


def _marked(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from ("".join(match.split()) for match in _SPACED.findall(text))
        yield from list(_QUOTED.findall(text))[:15]


def _of_subject(subject: str) -> Iterator[str]:
    if subject.strip():
        yield subject.strip()
        yield from subject.split()[:10]


def _of_names(names: Iterable[str]) -> Iterator[str]:
    for name in list(names)[:5]:
        stem = name.rpartition(".")[0] or name
        pieces = re.split(r"[_\-. ()\[\]]+", stem)
        yield from reversed([piece for piece in pieces if _NAME_PIECE.fullmatch(piece)][-6:])


def _numbers(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _NUMBER.findall(text)[:10]


def _words(texts: Iterable[str]) -> Iterator[str]:
    """Every word of a short letter."""
    for text in texts:
        words = text.split()
        if len(words) <= _SHORT_TEXT:
            yield from sorted((word for word in words if len(word) > 3), key=_oddness, reverse=True)  # noqa: PLR2004


def _oddness(word: str) -> int:
    """Words with digits, signs or mixed case look more like passwords."""
    return sum((any(c.isdigit() for c in word), any(not c.isalnum() for c in word[:-1]), word != word.lower() and not word.istitle()))
