"""DNS for mail authentication: questions to one resolver, each bounded in time, all of one mail bounded in number.

What it does: asks for TXT, A, AAAA, MX and PTR records; "there is none" is an empty answer, "nobody answered" is an error.
Not its job: what the records mean.
Raises: `TemporaryError` when the question was not answered in time or with a failure; RFC 7208 2.6.6 calls this temperror.
"""

from __future__ import annotations

import time
from typing import Protocol

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

QUESTIONS = 120
"""Questions that one mail may cause: SPF's ten with ten hosts each, and some keys."""
PATIENCE = 3.0
"""Seconds for one question."""


class TemporaryError(Exception):
    """DNS did not answer; the same mail may fare otherwise later."""


class Lookup(Protocol):
    """Asks DNS. Tests give a zone of their own."""

    def __call__(self, name: str, kind: str) -> list[str]:
        """The records of a kind at a name as texts; none when there is none. Raises TemporaryError."""
        ...


class Resolver:
    """Asks the resolver at `host` and `port` until `deadline` (seconds of time.monotonic()), each question once."""

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._host, self._port, self._deadline = host, port, deadline
        self._known: dict[tuple[str, str], list[str]] = {}

    def __call__(self, name: str, kind: str) -> list[str]:
        """See `Lookup`."""
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            if len(self._known) >= QUESTIONS:
                raise TemporaryError(f"more than {QUESTIONS} questions for one mail")
            self._known[key] = self._ask(*key)
        return self._known[key]

    def _ask(self, name: str, kind: str) -> list[str]:
        left = min(PATIENCE, self._deadline - time.monotonic())
        if left <= 0:
            raise TemporaryError("no time is left for DNS")
        try:
            question = dns.message.make_query(dns.name.from_text(name), kind, use_edns=0, payload=1232)
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return []  # a name that cannot be asked for does not exist
        try:
            answer, _ = dns.query.udp_with_fallback(question, self._host, timeout=left, port=self._port)
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            raise TemporaryError(f"{kind} of {name}: {type(error).__name__}") from None
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return []
        if answer.rcode() != dns.rcode.NOERROR:
            raise TemporaryError(f"{kind} of {name}: {dns.rcode.to_text(answer.rcode())}")
        return [_text(record) for group in answer.answer if group.rdtype == dns.rdatatype.from_text(kind) for record in group]


def _text(record: object) -> str:
    """A record as this room reads it: strings of TXT joined (RFC 7208 3.3), MX as its host, others as they are written."""
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    exchange = getattr(record, "exchange", None)
    if exchange is not None:
        return f"{getattr(record, 'preference', 0):05} {exchange.to_text(omit_final_dot=True)}"
    return str(record).rstrip(".")
