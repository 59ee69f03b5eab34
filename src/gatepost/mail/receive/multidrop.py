"""Mail out of one mailbox for many people: for whom each is, by what the provider wrote above it, and by nothing else.

What it does: reads the fields with which the server that filled the mailbox tells the envelope (X-Original-To and the like). Only fields
above the first Received count: what stands below was in the mail when it came to the provider, and anybody can write it.
Not its job: fetching mail, handing it on. To and Cc are never read: they say who is addressed, not who gets this copy, and Bcc is not there.
Raises: `MultidropError` for a mail that does not tell for whom it is.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from gatepost.site.base import parse_address

TELLING = ("x-envelope-to", "envelope-to", "x-original-to", "delivered-to")
"""Fields that tell the recipient, most telling first: the last two may name a mailbox instead of an address."""

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)")


class MultidropError(Exception):
    """It cannot be known for whom the mail is; the text says what was looked for."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """For whom a mail is and from whom it came, by the envelope that the provider saw; `field` is what told it."""

    sender: str
    recipients: tuple[str, ...]
    field: str


def addressed(mail: bytes, domains: Container[str], fields: tuple[str, ...] = TELLING) -> Addressed:
    """Read the envelope; `domains` are ours, `fields` (lower case) are looked for in this order. Raises MultidropError."""
    above = _above(mail)
    for field in fields:
        told = [address for name, value in above if name == field for address in _addresses(value)]
        ours = tuple(dict.fromkeys(address for address in told if address.rpartition("@")[2] in domains))
        if ours:
            return Addressed(_sender(above), ours, field)
    others = ", ".join(f"{name}: {value}" for name, value in above if name in fields)
    seen = f"there is only {others}, which is not ours" if others else f"above its first Received there is none of {', '.join(fields)}"
    raise MultidropError(f"it does not say for whom it is: {seen}; ask the provider to write the envelope recipient into the mail")


def _above(mail: bytes) -> list[tuple[str, str]]:
    """The fields above the first Received, names in lower case."""
    found, at = [], 0
    while match := _FIELD.match(mail, at):
        name = match[1].decode("ascii").lower()
        if name == "received":
            break
        found.append((name, " ".join(match[2].decode("utf-8", "surrogateescape").split())))
        at = match.end()
    return found


def _addresses(value: str) -> list[str]:
    """The addresses of a field; a value that is none (a bare mailbox name) is nothing."""
    return [address for part in value.split(",") if (address := _address(part)) is not None]


def _address(text: str) -> str | None:
    try:
        return parse_address(text.strip().removeprefix("<").removesuffix(">"))
    except ValueError:
        return None


def _sender(above: list[tuple[str, str]]) -> str:
    """The envelope sender (RFC 5321 4.4); the null sender when it is not told, so that nobody innocent is written to."""
    path = next((value for name, value in above if name == "return-path"), "<>")
    return _address(path) or ""
