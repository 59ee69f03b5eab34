"""Opening the firewall to its administrators for a time: elements with a timeout in a set of the kernel, which forgets them by itself.

What it does: adds and removes the sources of what is declared `on_request`, and lists who is admitted now.
Not its job: the rules that ask the set (`compile`), saying so in the journal (`gatepost.cli.access`).
Raises: `AdmitError` when nothing is declared that could be opened; `NftError` from nft.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from gatepost.firewall import nft
from gatepost.firewall.catalogue import IPNetwork
from gatepost.firewall.compile import TABLE, VERSIONS
from gatepost.firewall.declare import Policy
from gatepost.firewall.intent import ADMITTED


class AdmitError(Exception):
    """There is nothing to open; the text says what to declare."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A source that may come in, and for how many seconds more."""

    source: str
    seconds: int


def sources(policy: Policy) -> list[IPNetwork]:
    """Who may ask to be admitted: the sources of everything that is declared on request."""
    found = [net for item in policy.allowed if item.on_request for net in item.source.networks or ()]
    if not found:
        raise AdmitError("nothing is opened on request here; write on_request = true in a [[firewall.admin]] of the site file and apply it")
    return list(dict.fromkeys(found))


def admit(policy: Policy, seconds: int, namespace: str = "") -> None:
    """Open for so long from now; what was open before begins anew."""
    lines = [
        _elements("add", version, [f"{net.network_address} timeout {seconds}s" for net in sources(policy) if net.version == version])
        for version, _ in VERSIONS
    ]
    nft.load("".join([*_flushes(policy), *lines]), namespace)


def shut(policy: Policy, namespace: str = "") -> None:
    """Close now; connections that are open go on."""
    nft.load("".join(_flushes(policy)), namespace)


def _flushes(policy: Policy) -> list[str]:
    sources(policy)
    return [f"flush set inet {TABLE} {ADMITTED}{version}\n" for version, _ in VERSIONS]


def _elements(verb: str, version: int, elements: list[str]) -> str:
    return f"{verb} element inet {TABLE} {ADMITTED}{version} {{ {', '.join(elements)} }}\n" if elements else ""


def admitted(namespace: str = "") -> list[Admitted]:
    """Who may come in now."""
    found = []
    for item in json.loads(nft.listing(namespace))["nftables"]:
        one = item.get("set", {})
        if one.get("table") == TABLE and str(one.get("name", "")).startswith(ADMITTED):
            found += [_admitted(element["elem"]) for element in one.get("elem", [])]
    return [one for one in found if one.seconds]  # what is over may still be listed until the kernel tidies up


def _admitted(element: dict[str, object]) -> Admitted:
    return Admitted(str(element["val"]), int(str(element.get("expires", 0))))
