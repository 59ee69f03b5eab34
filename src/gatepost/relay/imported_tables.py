"""The small old files: relay-domains, access, aliases, hosts, and the basics of amavisd.conf.

Raises: nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from gatepost.relay.proposal import Proposal, Reading, not_understood
from gatepost.site.aliases import parse_aliases
from gatepost.site.problem import Problem

_NUMBERS = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}\.?")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PERL = re.compile(r"[$@](\w+)\s*=\s*(.*?);\s*(?:#.*)?")
AMAVIS = {
    "mydomain": ("mail", "domains"),
    "virus_admin": ("mail", "virusalerts"),
    "sa_tag2_level_deflt": ("policy.spam", "tag"),
    "sa_kill_level_deflt": ("policy.spam", "hold"),
}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if content := line.partition("#")[0].strip():
            yield number, content


def network_of(text: str) -> str | None:
    """The network that Sendmail means by the first numbers of addresses: 192.168.3 is 192.168.3.0/24."""
    if not _NUMBERS.fullmatch(text):
        return None
    numbers = text.strip(".").split(".")
    try:
        return str(ipaddress.ip_network(f"{'.'.join(numbers + ['0'] * (4 - len(numbers)))}/{8 * len(numbers)}"))
    except ValueError:
        return None


def read_relay_domains(name: str, text: str) -> Reading:
    """relay-domains: networks that may relay, and domains."""
    proposals, remarks = [], []
    for line, content in _lines(text):
        if network := network_of(content):
            proposals += _zone(network, f"{name}:{line}")
        elif _DOMAIN.fullmatch(content):
            proposals.append(Proposal("mail", "domains", [content.lower()], f"{name}:{line}"))
            what = "every host whose reverse name is in this domain may relay, whoever runs its DNS"
            remarks.append(Problem(name, line, "", what, "the generated relay names networks only", content))
        else:
            remarks.append(not_understood(name, line, content))
    return Reading(tuple(proposals), tuple(remarks))


def _zone(network: str, origin: str) -> list[Proposal]:
    return [Proposal("zones.internal", "prefixes", [network], origin), Proposal("mail", "relay_from", ["internal"], origin)]


def read_access(name: str, text: str) -> Reading:
    """access: networks that may relay; what else is refused or let in is listed."""
    proposals, remarks = [], []
    for line, content in _lines(text):
        key, _, value = content.partition("\t") if "\t" in content else content.partition(" ")
        network = network_of(key.removeprefix("Connect:"))
        if value.strip() == "RELAY" and network:
            loopback = ipaddress.ip_network(network).is_loopback
            proposals += [] if loopback else _zone(network, f"{name}:{line}")
        elif value.strip() == "RELAY" and key in {
            "localhost",
            "localhost.localdomain",
            "Connect:localhost",
            "Connect:localhost.localdomain",
        }:
            continue
        else:
            remarks.append(not_understood(name, line, content))
    return Reading(tuple(proposals), tuple(remarks))


def read_aliases_file(name: str, text: str) -> Reading:
    """aliases: who gets mail here, and every left side that can never match an address."""
    known, problems = parse_aliases(text, name)
    proposals = [
        Proposal("mail.recipients", "verify", "list", f"{name}, {len(known)} names"),
        Proposal("mail.recipients", "aliases", name, name),
    ]
    remarks = [
        Problem(
            name,
            1,
            left,
            "delivers to a program or a file, which a relay does not do",
            "leave it to the internal server",
            f"{left}: {target}",
        )
        for left, target in known.items()
        if target.strip('"')[:1] in {"|", "/"}
    ]
    return Reading(tuple(proposals), (*problems, *remarks))


def read_hosts(name: str, text: str) -> Reading:
    """hosts: hosts of the site with their addresses."""
    proposals, remarks = [], []
    for line, content in _lines(text):
        address, *names = content.split()
        try:
            number = ipaddress.ip_address(address)
        except ValueError:
            remarks.append(not_understood(name, line, content))
            continue
        if not names:
            remarks.append(not_understood(name, line, content))
        elif not number.is_loopback and not number.is_multicast and not number.is_link_local:
            proposals.append(Proposal(f"hosts.{names[0].partition('.')[0].lower()}", "addresses", [str(number)], f"{name}:{line}"))
    return Reading(tuple(proposals), tuple(remarks))


def read_amavisd(name: str, text: str) -> Reading:
    """amavisd.conf: domain, alarms, spam levels; what stops viruses is the policy's default here."""
    proposals, remarks = [], []
    for line, content in _lines(text):
        match = _PERL.fullmatch(content)
        value = match[2].strip("'\" ").replace("\\@", "@") if match else ""
        if match and match[1] in AMAVIS and value and "$" not in value:
            section, key = AMAVIS[match[1]]
            number = re.fullmatch(r"-?\d+(\.\d+)?", value)
            proposals.append(Proposal(section, key, [value] if key == "domains" else float(value) if number else value, f"{name}:{line}"))
        elif match and match[1] == "final_virus_destiny" and "PASS" in value:
            remarks.append(Problem(name, line, match[1], "mail with viruses is delivered", "here it is quarantined", content))
        elif content not in {"1;", "use strict;"}:
            remarks.append(not_understood(name, line, content))
    return Reading(tuple(proposals), tuple(remarks))
