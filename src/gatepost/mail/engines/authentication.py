"""The engine `authentication`: SPF, DKIM, DMARC and ARC of a mail from outside.

What it does: evaluates all four, and tells what the From domain's owner would want. Advisory unless the site says otherwise: a failure
gives points (0 by default, so that it is told and nothing else happens), or a SUSPECT finding where the owner asks for rejection and the
option `reject` is true. Mail that an ARC sealer of the option `trust` saw pass is not counted as failed.
Not its job: scanning. Give it `role = "advisory"` and `directions = ["inbound"]`: our own mail has no signature yet.
Raises: `EngineError` when DNS does not answer and the option `temperror` is "unchecked".

The option `socket` is the address of a DNS resolver and has no default: it tells the supervisor that the workers need a network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import getaddresses

from gatepost.mail.engines.authentication_dkim import Signature, arc, signatures
from gatepost.mail.engines.authentication_dmarc import Policy, aligned, find
from gatepost.mail.engines.authentication_dns import Lookup, Resolver, TemporaryError
from gatepost.mail.engines.authentication_spf import Result, check_host
from gatepost.mail.engines.options import Options
from gatepost.mail.engines.wire import Address
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message
from gatepost.site.base import parse_domain

RESERVE = 1.0
"""Seconds of the deadline that are kept for computing after the last question."""

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:((?:.*)(?:\r?\n[ \t].*)*)", re.MULTILINE)
_END = re.compile(rb"\r?\n\r?\n")

MakeLookup = Callable[[float], Lookup]
"""Makes what asks DNS until a deadline in seconds of time.monotonic()."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was found out; `dmarc` is pass, fail, none, temperror or permerror, `wish` what the owner asks for."""

    spf: Result
    dkim: tuple[Signature, ...]
    dmarc: str
    wish: str
    arc: str
    sealer: str

    def __str__(self) -> str:
        marks = [f"dkim={one.result} ({one.domain}{f': {one.why}' if one.why else ''})" for one in self.dkim] or ["dkim=none"]
        return "; ".join((f"spf={self.spf}", *marks, f"dmarc={self.dmarc} (p={self.wish})", f"arc={self.arc}"))

    @property
    def temporary(self) -> bool:
        """Whether DNS left a question open that could change the result."""
        return self.dmarc == "temperror" or (
            self.dmarc != "pass" and "temperror" in {self.spf, self.arc, *(one.result for one in self.dkim)}
        )


class Authentication:
    """The engine. Options: `socket`, `reject`, `points_fail`, `trust` (domains of ARC sealers), `temperror` ("report" or "unchecked")."""

    local = False

    def __init__(self, name: str, options: Mapping[str, object], lookup: MakeLookup | None = None) -> None:
        given = Options(name, options)
        self.name = name
        address = Address.parse(given.text("socket"))
        if address.path:
            raise given.error("socket", "must be the address and port of a DNS resolver, such as 127.0.0.1:53")
        self._lookup = lookup or (lambda deadline: Resolver(address.host, address.port, deadline))
        self._reject = given.flag("reject", default=False)
        self._points = given.number("points_fail", 0.0)
        self._trust = frozenset(domain.lower() for domain in given.texts("trust"))
        self._temperror = given.choice("temperror", ("report", "unchecked"))
        given.done()

    def info(self) -> EngineInfo:
        """Say what is evaluated."""
        return EngineInfo("RFC 7208, 6376, 7489, 8617")

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Evaluate the mail; no finding means that it is who it says, or that its owner asks for nothing."""
        results = evaluate(bytes(message.raw), envelope, self._lookup(deadline - RESERVE))
        if results.temporary:
            if self._temperror == "unchecked":
                raise EngineError(f"DNS does not answer: {results}")
            return (Finding(Kind.SPAM, "authentication-temperror", "", self.name, str(results), 0.0),)
        if results.dmarc not in {"fail", "permerror"} or (results.arc == "pass" and results.sealer in self._trust):
            return ()
        if self._reject and (results.wish == "reject" or results.dmarc == "permerror"):
            return (Finding(Kind.SUSPECT, f"dmarc-{results.dmarc}", "", self.name, str(results)),)
        return (Finding(Kind.SPAM, f"dmarc-{results.dmarc}", "", self.name, str(results), self._points),)


def evaluate(raw: bytes, envelope: Envelope, lookup: Lookup) -> Results:
    """All four evaluations of a mail as it came."""
    fields = _fields(raw)
    domain = envelope.sender.rpartition("@")[2] or envelope.helo
    spf = check_host(envelope.client.removeprefix("IPv6:"), domain, envelope.sender, envelope.helo, lookup) if envelope.client else "none"
    signed = signatures(raw, [value for name, value in fields if name == b"dkim-signature"], lookup)
    has_arc = any(name == b"arc-seal" for name, _ in fields)
    state, sealer = arc(raw, lookup) if has_arc else ("none", "")
    dmarc, wish = _dmarc(fields, spf, domain, signed, lookup)
    return Results(spf, tuple(signed), dmarc, wish, state, sealer)


def _fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of the mail's header: name in lower case, value as it is."""
    end = _END.search(raw)
    return [(match[1].lower(), match[2]) for match in _FIELD.finditer(raw[: end.start() if end else len(raw)])]


def _dmarc(fields: list[tuple[bytes, bytes]], spf: Result, spf_domain: str, signed: list[Signature], lookup: Lookup) -> tuple[str, str]:
    """The result and the owner's wish. A mail with several authors, or none, speaks for nobody (RFC 7489 6.6.1)."""
    author = _author(fields)
    if not author:
        return "permerror", "none"
    try:
        policy = find(author, lookup)
    except TemporaryError:
        return "temperror", "none"
    if policy is None:
        return "none", "none"
    return ("pass" if _passes(author, policy, spf, spf_domain, signed) else "fail"), policy.wish


def _passes(author: str, policy: Policy, spf: Result, spf_domain: str, signed: list[Signature]) -> bool:
    if spf == "pass" and aligned(author, spf_domain, policy, strict=policy.strict_spf):
        return True
    return any(one.result == "pass" and aligned(author, one.domain, policy, strict=policy.strict_dkim) for one in signed)


def _author(fields: list[tuple[bytes, bytes]]) -> str:
    values = [value.decode("utf-8", "replace").strip() for name, value in fields if name == b"from"]
    if len(values) != 1:
        return ""
    domains = {address.rpartition("@")[2].lower() for _, address in getaddresses([re.sub(r"\s+", " ", values[0])]) if "@" in address}
    try:
        return parse_domain(domains.pop()) if len(domains) == 1 else ""
    except ValueError:
        return ""
