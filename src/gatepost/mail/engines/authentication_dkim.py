"""DKIM (RFC 6376) and ARC (RFC 8617): which domains really signed this mail, and what an earlier hop saw.

What it does: has dkimpy verify each signature, after checks of our own: a signature must name what it covers (h=, bh=), cover From, and
cover the whole body; one with l= says nothing about what was appended, so it is no pass.
Not its job: DNS (`authentication_dns`), what to do about the result.
Raises: nothing; a key that DNS does not give now is the result temperror.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import dkim

from gatepost.mail.engines.authentication_dns import Lookup, TemporaryError
from gatepost.system.foreign import attempt

Result = Literal["pass", "fail", "policy", "temperror", "permerror"]

SIGNATURES = 8
"""Signatures that are looked at; more are somebody's wish to keep us busy."""
NEEDED = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")
ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")

_TAG = re.compile(rb"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*([^;]*?)\s*(?:;|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Signature:
    """What became of one signature of `domain`; `why` is for people."""

    domain: str
    result: Result
    why: str = ""


class Keys:
    """Gives keys to dkimpy, and remembers when DNS did not answer, which dkimpy reports like a wrong signature."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.failed = ""

    def __call__(self, name: bytes | str, timeout: float = 0) -> bytes | None:  # noqa: ARG002 - dkimpy's signature
        """The key record at a name; None when there is none."""
        text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        try:
            records = self._lookup(text, "TXT")
        except TemporaryError as error:
            self.failed = str(error)
            return None
        return records[0].encode("utf-8", "replace") if records else None


def signatures(raw: bytes, fields: list[bytes], lookup: Lookup) -> list[Signature]:
    """Every signature of a mail; `fields` are the values of its DKIM-Signature fields in order."""
    return [_signature(raw, index, value, Keys(lookup)) for index, value in enumerate(fields[:SIGNATURES])]


def _signature(raw: bytes, index: int, value: bytes, keys: Keys) -> Signature:
    tags = {match[1]: re.sub(rb"\s+", b"", match[2]) for match in _TAG.finditer(value)}
    domain = tags.get(b"d", b"").decode("ascii", "replace").lower()
    if wrong := _unusable(tags):
        return Signature(domain, "permerror", wrong)
    answer: Any = attempt(lambda: dkim.DKIM(raw).verify(index, dnsfunc=keys))
    if keys.failed:
        return Signature(domain, "temperror", keys.failed)
    if not answer or (isinstance(answer, dkim.ValidationError) and "body hash" in str(answer)):
        return Signature(domain, "fail", "the mail was changed, or the signature is not of this domain")
    if isinstance(answer, Exception):
        return Signature(domain, "permerror", str(answer))
    if b"l" in tags:
        return Signature(domain, "policy", "the signature covers a part of the body only (l=)")
    return Signature(domain, "pass")


def _unusable(tags: dict[bytes, bytes]) -> str:
    missing = [name.decode() for name in NEEDED if not tags.get(name)]
    if missing:
        return f"{missing[0]}= is missing"
    if tags[b"a"].lower() not in ALGORITHMS:
        return f"{tags[b'a'].decode('ascii', 'replace')} is no algorithm that counts (RFC 8301)"
    covered = [name.strip().lower() for name in tags[b"h"].split(b":")]
    return "" if b"from" in covered else "From is not covered"


def arc(raw: bytes, lookup: Lookup) -> tuple[str, str]:
    """The state of the ARC chain (pass, fail, none, temperror) and the domain of the last sealer."""
    keys = Keys(lookup)
    answer: Any = attempt(lambda: dkim.ARC(raw).verify(dnsfunc=keys))
    if keys.failed:
        return "temperror", ""
    if isinstance(answer, Exception):
        return "fail", ""
    state, results, _ = answer
    sealer = results[0].get("as-domain", b"") if results else b""
    return state.decode("ascii", "replace"), sealer.decode("ascii", "replace").lower()
