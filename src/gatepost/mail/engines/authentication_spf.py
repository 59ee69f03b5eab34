"""SPF (RFC 7208): whether a host may send for a domain.

What it does: evaluates the whole language but exp=, with the limits of section 4.6.4.
Not its job: DNS itself (`authentication_dns`), what to do about the result.
Raises: nothing; DNS that does not answer is the result temperror.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from gatepost.mail.engines.authentication_dns import Lookup, TemporaryError

Result = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOKUPS = 10
VOIDS = 2
NAMES = 10
MAX_NAME = 253
QUALIFIERS: dict[str, Result] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

_TERM = re.compile(r"(?P<qualifier>[+\-~?]?)(?P<name>[a-z][a-z0-9_.-]*)(?P<rest>(?:[:/].*)?)", re.IGNORECASE)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>.*)", re.IGNORECASE)
_TARGET = re.compile(r"(?::(?P<domain>[^/]+(?:/(?!\d|/)[^/]*)*))?(?:/(?P<four>\d{1,2}))?(?://(?P<six>\d{1,3}))?")
_MACRO = re.compile(
    r"%(?:\{(?P<letter>[slodiphv])(?P<digits>\d*)(?P<reverse>r?)(?P<delimiters>[-.+,/_=]*)\}|(?P<escape>[%_-]))", re.IGNORECASE
)


class _PermanentError(Exception):
    """The record cannot be evaluated (RFC 7208 2.6.7)."""


@dataclass(slots=True)
class _Asking:
    """One evaluation: who sends, and what was used up."""

    address: Address
    sender: str
    helo: str
    lookup: Lookup
    lookups: int = 0
    voids: int = 0
    path: list[str] = field(default_factory=list)


def check_host(address: str, domain: str, sender: str, helo: str, lookup: Lookup) -> Result:
    """The result for a host that sends as `sender`, whose domain is `domain` (RFC 7208 4)."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return "none"
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped:
        number = number.ipv4_mapped
    asking = _Asking(number, sender if "@" in sender else f"postmaster@{helo or domain}", helo, lookup)
    try:
        return _evaluate(asking, domain)
    except _PermanentError:
        return "permerror"
    except TemporaryError:
        return "temperror"


def _evaluate(asking: _Asking, domain: str) -> Result:
    if not _is_domain(domain):
        return "none"
    records = [text for text in asking.lookup(domain, "TXT") if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]
    if not records:
        return "none"
    if len(records) > 1:
        raise _PermanentError("several records")
    mechanisms, redirect = _parse(records[0])
    for match in mechanisms:
        if _matches(asking, domain, match["name"].lower(), match["rest"]):
            return QUALIFIERS[match["qualifier"] or "+"]
    if redirect is None:
        return "neutral"
    _count(asking)
    result = _evaluate(asking, _expand(asking, redirect, domain))
    if result == "none":
        raise _PermanentError("redirect to nothing")
    return result


MECHANISMS = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}


def _parse(record: str) -> tuple[list[re.Match[str]], str | None]:
    """The mechanisms in order and the redirect. The whole record must be right before any of it counts (RFC 7208 4.6)."""
    mechanisms, redirect = [], []
    for term in record.split(" ")[1:]:
        if not term:
            continue
        if (modifier := _MODIFIER.fullmatch(term)) and not re.match(r"[^=]*[:/]", modifier["name"]):
            redirect += [modifier["value"]] if modifier["name"].lower() == "redirect" else []
            continue
        match = _TERM.fullmatch(term)
        if match is None or match["name"].lower() not in MECHANISMS:
            raise _PermanentError(term)
        mechanisms.append(match)
    if len(redirect) > 1:
        raise _PermanentError("several redirects")
    has_all = any(match["name"].lower() == "all" for match in mechanisms)
    return mechanisms, redirect[0] if redirect and not has_all else None


def _matches(asking: _Asking, domain: str, name: str, rest: str) -> bool:
    if name == "all":
        return _nothing(rest)
    if name in {"ip4", "ip6"}:
        return _in_network(asking.address, name, rest)
    target = _TARGET.fullmatch(rest)
    if target is None:
        raise _PermanentError(rest)
    _count(asking)
    where = _expand(asking, target["domain"], domain) if target["domain"] else domain
    match name:
        case "include":
            return _included(asking, where)
        case "exists":
            return bool(_hosts(asking, where, "A"))
        case "ptr":
            return _by_reverse(asking, where)
        case _:
            names = [where] if name == "a" else _exchanges(asking, where)
            return any(_near(asking.address, one, target) for host in names for one in _addresses(asking, host))


def _nothing(rest: str) -> bool:
    if rest:
        raise _PermanentError(rest)
    return True


def _in_network(address: Address, name: str, rest: str) -> bool:
    try:
        network = ipaddress.ip_network(rest.removeprefix(":"), strict=False)
    except ValueError:
        raise _PermanentError(rest) from None
    if network.version != int(name[-1]):
        raise _PermanentError(rest)
    return address in network


def _included(asking: _Asking, where: str) -> bool:
    result = _evaluate(asking, where)
    if result in {"none", "permerror"}:
        raise _PermanentError(where)
    if result == "temperror":
        raise TemporaryError(where)
    return result == "pass"


def _near(address: Address, text: str, target: re.Match[str]) -> bool:
    bits = target["four"] if address.version == 4 else target["six"]  # noqa: PLR2004 - the name of the protocol
    try:
        return address in ipaddress.ip_network(f"{text}/{bits}" if bits else text, strict=False)
    except ValueError:
        raise _PermanentError(text) from None


def _count(asking: _Asking) -> None:
    asking.lookups += 1
    if asking.lookups > LOOKUPS:
        raise _PermanentError(f"more than {LOOKUPS} lookups")


def _hosts(asking: _Asking, name: str, kind: str) -> list[str]:
    found = asking.lookup(name, kind) if _is_domain(name) else []
    if not found:
        asking.voids += 1
        if asking.voids > VOIDS:
            raise _PermanentError(f"more than {VOIDS} lookups without an answer")
    return found


def _addresses(asking: _Asking, name: str) -> list[str]:
    return _hosts(asking, name, "A" if asking.address.version == 4 else "AAAA")  # noqa: PLR2004 - the name of the protocol


def _exchanges(asking: _Asking, name: str) -> list[str]:
    found = [text.partition(" ")[2] for text in sorted(_hosts(asking, name, "MX"))]
    if len(found) > NAMES:
        raise _PermanentError("too many MX")
    return found


def _by_reverse(asking: _Asking, where: str) -> bool:
    """RFC 7208 5.5: a name of the address that leads back to it, in the domain. Errors are no match."""
    try:
        names = asking.lookup(asking.address.reverse_pointer, "PTR")[:NAMES]
        kind = "A" if asking.address.version == 4 else "AAAA"  # noqa: PLR2004 - the name of the protocol
        valid = [name for name in names if str(asking.address) in asking.lookup(name, kind)]
    except TemporaryError:
        return False
    return any(f".{name.lower()}".endswith(f".{where.lower()}") for name in valid)


def _expand(asking: _Asking, text: str, domain: str) -> str:
    """Macros (RFC 7208 7); p is always unknown, as the RFC advises."""
    if "%" in _MACRO.sub("", text):
        raise _PermanentError(text)
    name = _MACRO.sub(lambda match: _macro(asking, match, domain), text).rstrip(".")
    while len(name) > MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


def _macro(asking: _Asking, match: re.Match[str], domain: str) -> str:
    if match["escape"]:
        return {"%": "%", "_": " ", "-": "%20"}[match["escape"]]
    local, _, host = asking.sender.rpartition("@")
    four = asking.address.version == 4  # noqa: PLR2004 - the name of the protocol
    dotted = str(asking.address) if four else ".".join(asking.address.exploded.replace(":", ""))
    values = {"s": asking.sender, "l": local, "o": host, "d": domain, "i": dotted, "p": "unknown", "v": "in-addr" if four else "ip6"}
    value = (values | {"h": asking.helo})[match["letter"].lower()]
    parts = re.split(f"[{re.escape(match['delimiters'] or '.')}]", value)
    if match["reverse"]:
        parts.reverse()
    if match["digits"]:
        if int(match["digits"]) == 0:
            raise _PermanentError(match[0])
        parts = parts[-int(match["digits"]) :]
    joined = ".".join(parts)
    return quote(joined, safe="") if match["letter"].isupper() else joined


def _is_domain(name: str) -> bool:
    labels = name.rstrip(".").split(".")
    return len(name) <= MAX_NAME and len(labels) > 1 and all(0 < len(label) < 64 for label in labels)  # noqa: PLR2004 - RFC 1035 2.3.4
