"""Comparing the sections of a site with each other.

What it does: finds what each section alone cannot see: names that nobody declared, overlaps, rules that would let mail pass unscanned.
Not its job: lines and files (`load`), the network's own rules (`gatepost.firewall`), the machine (`gatepost.deploy`).
Raises: nothing.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from gatepost.site.base import parse_endpoint, parse_socket
from gatepost.site.check_relay import check_relay
from gatepost.site.lines import Path
from gatepost.site.mail import DIRECTIONS, Engine, Rule
from gatepost.site.model import Site
from gatepost.site.network import Permission
from gatepost.site.problem import nearest

Found = tuple[Path, str, str]
"""Where (key path), what, remedy."""

DELIVERS = {"deliver", "deliver-cleaned"}
NEVER_UNSAID = {"virus", "unchecked"}
CLEANABLE = {"virus", "banned", "suspect", "encrypted"}
"""Findings about a part that can be taken out; the others are about the mail as a whole, or say that nobody knows what its parts are."""


def check(site: Site, kinds: frozenset[str] = frozenset()) -> Iterator[Found]:
    """Everything that is wrong between the sections of `site`; `kinds` are the installed engines (empty: not checked)."""
    yield from _next_hops(site)
    yield from _listeners(site)
    yield from _relaying(site)
    yield from check_relay(site)
    yield from _recipients(site)
    yield from _limits(site)
    yield from _engines(site, kinds)
    yield from _policy(site)
    yield from _zones(site)
    yield from _hosts(site)
    yield from _answers(site)


def _next_hops(site: Site) -> Iterator[Found]:
    mail = site.mail
    written: list[tuple[Path, str | None]] = [(("mail", "next_hop"), mail.next_hop), (("mail", "outbound"), mail.outbound)]
    written += [(("mail", "routes", domain), hop) for domain, hop in mail.routes.items()]
    written.append((("mail", "smtp", "next_hop"), mail.smtp.next_hop))
    for path, hop in written:
        if hop is not None:
            yield from _next_hop(site, path, hop)
    for domain in mail.routes:
        if domain not in mail.domains:
            yield ("mail", "routes", domain), f"{domain} is not one of mail.domains", nearest(domain, mail.domains)
    for domain, count in Counter(mail.domains).items():
        if count > 1:
            yield ("mail", "domains"), f"{domain} is here {count} times", "keep one of them"


def _next_hop(site: Site, path: Path, hop: str) -> Iterator[Found]:
    host = parse_endpoint(hop, 25).host
    if host not in site.hosts and "." not in host and ":" not in host and host != "localhost":
        yield path, f"no host is called {host}", nearest(host, site.hosts, "declare it under hosts, or name one of")
    if site.mail.smtp.listen and parse_endpoint(hop, 25) == parse_endpoint(site.mail.smtp.listen, 25):
        yield path, f"{hop} is where Gatepost itself listens: mail would go in a circle", "name the MTA behind Gatepost"


def _listeners(site: Site) -> Iterator[Found]:
    mail = site.mail
    if not mail.smtp.listen and mail.milter.listen is None:
        yield ("mail",), "nothing receives mail", "set mail.smtp.listen or mail.milter.listen"
    listeners: list[tuple[Path, object]] = []
    if mail.smtp.listen:
        listeners.append((("mail", "smtp", "listen"), parse_endpoint(mail.smtp.listen, 25)))
    if mail.milter.listen:
        listeners.append((("mail", "milter", "listen"), parse_socket(mail.milter.listen)))
    if site.metrics.listen:
        listeners.append((("metrics", "listen"), parse_endpoint(site.metrics.listen, 9090)))
    for (first, one), (second, other) in combinations(listeners, 2):
        if one == other:
            yield second, f"{'.'.join(map(str, first))} listens on the same socket", "give each listener a port of its own"
    if (mail.smtp.tls.certificate is None) != (mail.smtp.tls.key is None):
        yield ("mail", "smtp", "tls"), "certificate and key belong together", "give both, or neither"


def _relaying(site: Site) -> Iterator[Found]:
    for number, zone in enumerate(site.mail.relay_from):
        if zone not in site.zones:
            yield ("mail", "relay_from", number), f"no zone is called {zone}", nearest(zone, site.zones)
        elif site.zones[zone].external:
            yield ("mail", "relay_from", number), f"{zone} is external: this would be an open relay", "name zones of your own only"


def _recipients(site: Site) -> Iterator[Found]:
    recipients = site.mail.recipients
    if recipients.verify == "list" and not recipients.addresses and recipients.aliases is None:
        yield ("mail", "recipients", "verify"), "there is no list: everybody would be refused", "give addresses or aliases"
    for number, address in enumerate(recipients.addresses):
        domain = address.rpartition("@")[2]
        if domain not in site.mail.domains:
            yield ("mail", "recipients", "addresses", number), f"{domain} is not one of mail.domains", nearest(domain, site.mail.domains)


def _limits(site: Site) -> Iterator[Found]:
    if site.mail.size_limit > site.mail.limits.bytes:
        yield ("mail", "size_limit"), "is over mail.limits.bytes: the largest mails could never be checked whole", "raise mail.limits.bytes"
    if site.policy.spam.tag > site.policy.spam.hold:
        yield ("policy", "spam", "tag"), "is over policy.spam.hold: nothing would ever be tagged", "lower it"


def _engines(site: Site, kinds: frozenset[str]) -> Iterator[Found]:
    required = [engine for engine in site.engines.values() if engine.enabled and engine.role == "required"]
    for direction in DIRECTIONS:
        if not any(direction in engine.directions for engine in required):
            yield ("engines",), f"no required engine looks at {direction} mail", "enable one, or add the direction to one"
    voters = sum(engine.enabled and engine.votes(name) for name, engine in site.engines.items())
    if site.policy.combine == "quorum" and site.policy.quorum > voters:
        yield ("policy", "quorum"), f"{site.policy.quorum} antivirus engines must agree, but there are {voters}", "lower it"
    for name, engine in site.engines.items():
        yield from _engine(("engines", name), name, engine, kinds)


def _engine(path: Path, name: str, engine: Engine, kinds: frozenset[str]) -> Iterator[Found]:
    kind = engine.kind or name
    if kinds and engine.enabled and kind not in kinds:
        where = (*path, "kind") if engine.kind else path
        yield where, f"no engine of the kind {kind} is installed", nearest(kind, kinds)
    for key, value in engine.options.items():
        if close := difflib.get_close_matches(key, Engine.model_fields, n=1, cutoff=0.8):
            yield (*path, key), "there is no such key", f"did you mean {close[0]}?"
        if key == "socket":
            yield from _socket((*path, key), value)


def _socket(path: Path, value: object) -> Iterator[Found]:
    try:
        parse_socket(str(value))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        yield path, what, remedy


def _policy(site: Site) -> Iterator[Found]:
    seen: set[str] = set()
    for number, rule in enumerate(site.policy.rules):
        path: Path = ("policy", "rules", number)
        if rule.name in seen:
            yield (*path, "name"), f"another rule is called {rule.name}", "the journal names rules: give each a name of its own"
        seen.add(rule.name)
        for place, zone in enumerate(rule.zones):
            if zone not in site.zones:
                yield (*path, "zones", place), f"no zone is called {zone}", nearest(zone, site.zones)
        yield from _rule(path, rule)


def _rule(path: Path, rule: Rule) -> Iterator[Found]:
    unsafe = NEVER_UNSAID.intersection(rule.findings) if rule.then == "deliver" else frozenset()
    if unsafe and not (rule.unscanned and rule.reason):
        what = f"this would deliver mail with findings of the kind {' and '.join(sorted(unsafe))}"
        yield (*path, "then"), what, "choose quarantine, or write unscanned = true and a reason"
    if rule.then == "deliver-cleaned" and (whole := set(rule.findings) - CLEANABLE):
        what = f"a mail cannot be cleaned of what is {' or '.join(sorted(whole))}"
        yield (*path, "findings"), what, "choose quarantine for these, or leave them out"
    if rule.tag and rule.then not in DELIVERS:
        yield (*path, "tag"), "only delivered mail can be tagged", "leave tag out, or choose deliver"
    if rule.points and "spam" not in rule.findings:
        yield (*path, "points"), "only spam has points", "leave points out, or add spam to findings"
    for place, pattern in enumerate(rule.recipients):
        if "@" not in pattern:
            yield (*path, "recipients", place), f"{pattern!r} can never match an address", f"write *@{pattern}"


def _zones(site: Site) -> Iterator[Found]:
    networks = [(name, ipaddress.ip_network(prefix)) for name, zone in site.zones.items() for prefix in _valid(zone.prefixes)]
    for (one, first), (other, second) in combinations(networks, 2):
        if one != other and first.version == second.version and first.overlaps(second) and 0 not in {first.prefixlen, second.prefixlen}:
            yield ("zones", other, "prefixes"), f"{second} overlaps {first} of zone {one}", "an address must belong to one zone"
    for name, zone in site.zones.items():
        for number, prefix in enumerate(zone.prefixes):
            if prefix not in _valid((prefix,)):
                yield ("zones", name, "prefixes", number), f"{prefix!r} is not a network", "write it like 192.168.2.0/24, host bits zero"


def _valid(prefixes: tuple[str, ...]) -> list[str]:
    def is_network(prefix: str) -> bool:
        try:
            ipaddress.ip_network(prefix)
        except ValueError:
            return False
        return True

    return [prefix for prefix in prefixes if is_network(prefix)]


def _hosts(site: Site) -> Iterator[Found]:
    owners: dict[str, str] = {}
    for name, host in site.hosts.items():
        if host.zone not in site.zones:
            yield ("hosts", name, "zone"), f"no zone is called {host.zone}", nearest(host.zone, site.zones)
        for number, address in enumerate(host.addresses):
            path: Path = ("hosts", name, "addresses", number)
            if owners.setdefault(address, name) != name:
                yield path, f"{address} is also the address of {owners[address]}", "an address must belong to one host"
            yield from _host_address(site, path, host.zone, address)


def _host_address(site: Site, path: Path, zone: str, address: str) -> Iterator[Found]:
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        yield path, f"{address!r} is not an address", "write it like 192.168.2.3 or 2001:db8::3"
        return
    prefixes = _valid(site.zones[zone].prefixes) if zone in site.zones else []
    if prefixes and not any(number in ipaddress.ip_network(prefix) for prefix in prefixes):
        yield path, f"{address} is not in zone {zone} ({', '.join(prefixes)})", "correct the address or the zone"


def _answers(site: Site) -> Iterator[Found]:
    """Where one permission names the answer of the interview that it follows from, one without was never asked for."""
    places: list[tuple[Path, Permission]] = [
        *((("flows", number), one) for number, one in enumerate(site.flows)),
        *((("publish", number), one) for number, one in enumerate(site.publish)),
        *((("firewall", "admin", number), one) for number, one in enumerate(site.firewall.admin)),
    ]
    if any(one.answer for _path, one in places):
        for path, one in places:
            if not one.answer:
                yield path, f"{one.id} names no answer of the interview", "ask who needs it, and write answer = the question's name"
