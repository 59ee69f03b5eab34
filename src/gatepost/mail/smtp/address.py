"""Addresses and parameters of the envelope, as text that cannot be taken for anything else.

What it does: reads `<path> KEY=VALUE ...` after MAIL FROM: and RCPT TO:, checks an address before it is written, and converts xtext.
Not its job: knowing which domain is ours.
Raises: `AddressError`, with a sentence for the client.

Stricter than RFC 5321 4.1.2 on purpose: no control character, blank or angle bracket, not even quoted, since the next reader may unquote it wrongly.
Looser where real mail is: dots may stand anywhere in the local part, and a domain may hold an underscore.
"""

from __future__ import annotations

import re

_ATOM = r"[^\x00-\x20\x7f\"(),:;<>@\[\\\].]"
_LOCAL = rf"(?:(?:{_ATOM}|\.)+|\"(?:[^\x00-\x20\x7f\"\\<>]|\\[^\x00-\x20\x7f<>])*\")"
_DOMAIN = r"(?:[^\x00-\x2c/:-@\[-^`{-\x7f.]+(?:\.[^\x00-\x2c/:-@\[-^`{-\x7f.]+)*\.?|\[[0-9A-Za-z:.\-]+\])"
_ADDRESS = re.compile(rf"{_LOCAL}@{_DOMAIN}")
_PATH = re.compile(rf" ?<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?({_LOCAL}@{_DOMAIN}|{_LOCAL}|)>((?: +[^ ]+)*) *")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([^\x00-\x20=\x7f]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_ESCAPED = re.compile(r"[^!-*,-<>-~]")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_OCTETS = 254


class AddressError(ValueError):
    """An address or parameter is not one. `status` is the enhanced status code without its class (RFC 3463)."""

    def __init__(self, text: str, status: str = "1.3") -> None:
        super().__init__(text)
        self.status = status


def check(address: str) -> str:
    """Return `address` when it may be written between angle brackets; "" and "postmaster" are lawful too (RFC 5321 4.1.1.3)."""
    if address and address.lower() != "postmaster" and not _ADDRESS.fullmatch(address):
        raise AddressError("this is not a mail address")
    if not address.isprintable():
        raise AddressError("the address holds characters that cannot be printed")
    if len(address.encode()) > _OCTETS:  # RFC 5321 4.5.3.1.3: 256 with the brackets
        raise AddressError("the address is too long")
    return address


def path(text: str, lawful: frozenset[str]) -> tuple[str, dict[str, str]]:
    """Read what follows `FROM:` or `TO:`: the address without brackets (a source route is dropped), and its parameters by upper-case name.

    A parameter without a value has "". Raises AddressError; a parameter outside `lawful` has the status 5.4.
    """
    match = _PATH.fullmatch(text)
    if match is None:
        raise AddressError("write the address in angle brackets: <name@example.org>")
    return check(match[1]), _parameters(match[2].split(), lawful)


def _parameters(words: list[str], lawful: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise AddressError("a parameter is malformed", "5.4")
        name = match[1].upper()
        if name not in lawful or name in found:
            raise AddressError(f"the parameter {name} is not known here or stands twice", "5.4")
        found[name] = match[2] or ""
    return found


def is_xtext(text: str) -> bool:
    """Whether `text` is xtext (RFC 3461 4)."""
    return _XTEXT.fullmatch(text) is not None


def from_xtext(text: str) -> str:
    """Decode xtext; what is not printable afterwards is an AddressError."""
    if not is_xtext(text):
        raise AddressError("a value is not xtext", "5.4")
    raw = _HEX.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
    plain = raw.decode("utf-8", "replace")
    if not plain.isprintable():
        raise AddressError("a value holds characters that cannot be printed", "5.4")
    return plain


def to_xtext(text: str) -> str:
    """Encode as xtext."""
    return _ESCAPED.sub(lambda match: "".join(f"+{octet:02X}" for octet in match[0].encode()), text)
