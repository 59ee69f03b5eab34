"""DMARC (RFC 7489): what the owner of the From domain wants done with mail that is not his.

What it does: finds the record and the organisational domain by walking up the DNS tree, so that no list of public suffixes can be
out of date; compares the authenticated domains with the From domain.
Not its job: SPF and DKIM; doing what the owner wants.
Raises: `TemporaryError` when DNS does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gatepost.mail.engines.authentication_dns import Lookup

Wish = Literal["none", "quarantine", "reject"]
DEEPEST = 8
"""Labels that are looked at: longer names go on with their last seven, against names made to cost lookups."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A record as found for a From domain: `organisation` is the domain that all of its names share."""

    wish: Wish
    strict_spf: bool
    strict_dkim: bool
    organisation: str


def find(domain: str, lookup: Lookup) -> Policy | None:
    """The policy for a From domain; None when its owner has none. Raises TemporaryError."""
    found = [(name, tags) for name in _up(domain) if (tags := _record(name, lookup))]
    if not found:
        return None
    name, tags = found[0]
    own = name == domain
    shared = [each for each, mark in found if mark.get("psd", "u").lower() != "y"]
    organisation = shared[-1] if shared else domain
    wish = tags.get("p", "none") if own else tags.get("sp", tags.get("p", "none"))
    known: dict[str, Wish] = {"none": "none", "quarantine": "quarantine", "reject": "reject"}
    return Policy(known.get(wish.lower(), "none"), tags.get("aspf", "r") == "s", tags.get("adkim", "r") == "s", organisation)


def aligned(domain: str, authenticated: str, policy: Policy, *, strict: bool) -> bool:
    """Whether an authenticated domain speaks for the From domain (RFC 7489 3.1)."""
    if strict or not policy.organisation:
        return authenticated.lower() == domain
    name = f".{authenticated.lower()}"
    return name.endswith(f".{policy.organisation}")


def _up(domain: str) -> list[str]:
    labels = domain.split(".")
    names = [domain] if len(labels) > DEEPEST else []
    labels = labels[-(DEEPEST - 1) :] if names else labels
    return names + [".".join(labels[start:]) for start in range(len(labels) - 1)]


def _record(name: str, lookup: Lookup) -> dict[str, str]:
    records = [text for text in lookup(f"_dmarc.{name}", "TXT") if text.replace(" ", "").startswith("v=DMARC1")]
    if len(records) != 1:
        return {}
    pairs = (part.partition("=") for part in records[0].split(";") if "=" in part)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
