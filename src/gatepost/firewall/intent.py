"""What a policy means, as formulas: the measure that loaded rules are proved against.

What it does: says which packets pass, for each path through the firewall, and which are translated to what. It is written from the
declaration alone and shares nothing with the compiler but the catalogue, so that a mistake in one of them shows.
Not its job: rules (`compile`), comparing (`prove`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from gatepost.firewall.catalogue import (
    ALL_FLAGS,
    GOOD_FLAGS,
    ICMP6_ERRORS,
    ICMP6_TYPES,
    ICMP_ERRORS,
    ICMP_TYPES,
    NEIGHBOURS,
    NO_RETURN_PATH,
    OPENING,
    OPENING_MASK,
    IPNetwork,
    bogons,
    collapse,
    listed,
    over_connections,
    over_limit,
    subtract,
    within_limit,
)
from gatepost.firewall.declare import Allowed, End, Policy, Traffic, parse_rate
from gatepost.firewall.formula import (
    FALSE,
    ICMP,
    ICMP6,
    TCP,
    TRUE,
    Field,
    Formula,
    Name,
    Not,
    both,
    either,
    equal,
    family,
    flags,
    icmp_type,
    network,
    ports,
    state,
)
from gatepost.firewall.ruleset import Rewrite
from gatepost.site.network import FIREWALL

ADMITTED = "admitted"
"""The sets of sources to whom the firewall is opened for a time, with the IP version behind the name."""

BURST = 2
"""A limit lets through this many times its rate at once."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What should happen. `entry` is asked of a packet as it arrives, `forward` and `input` after translation, `output` of our own packets.

    `published` and `sources` are tried in order: the first that fits translates.
    """

    entry: Formula
    forward: Formula
    input: Formula
    output: Formula
    published: tuple[tuple[Formula, Rewrite], ...]
    sources: tuple[tuple[Formula, Rewrite], ...]
    helpers: tuple[tuple[str, Formula], ...]

    def formulas(self) -> Iterable[Formula]:
        """All formulas, for collecting names."""
        yield from (self.entry, self.forward, self.input, self.output)
        for pairs in (self.published, self.sources):
            yield from (formula for formula, _ in pairs)
        yield from (formula for _, formula in self.helpers)


def intent(policy: Policy) -> Intent:
    """The meaning of a policy."""
    own = [item for item in policy.allowed if item.source.zone == FIREWALL]
    to_us = [item for item in policy.allowed if item.destination.zone == FIREWALL]
    through = [item for item in policy.allowed if FIREWALL not in {item.source.zone, item.destination.zone}]
    known = either([state("established"), both(state("related"), either([errors(), Name(Field.HELPER, "ftp")]))])
    new = state("new")
    nearby = both(state("untracked"), neighbours())
    return Intent(
        entry=_entry(policy),
        forward=either([known, both(new, _permissions(policy, through))]),
        input=either([Name(Field.IIF, "lo"), known, nearby, both(new, either([_permissions(policy, to_us), _ping(policy)]))]),
        output=either([Name(Field.OIF, "lo"), known, nearby, both(new, _permissions(policy, own))]),
        published=tuple(_published(policy)),
        sources=tuple(_sources(policy)),
        helpers=tuple(_helpers(policy, through)),
    )


def interfaces(policy: Policy, zone: str, which: Field) -> Formula:
    """The packet uses an interface of the zone."""
    return either(Name(which, name) for name in policy.zones[zone].interfaces)


def within(which: Field, networks: Iterable[IPNetwork]) -> Formula:
    """The address is in one of the networks."""
    return either(network(which, net) for net in networks)


def errors() -> Formula:
    """ICMP messages that say why a connection does not work (RFC 4890 4.3.1 for IPv6)."""
    return either([icmp_type(4, ICMP_TYPES[name]) for name in ICMP_ERRORS] + [icmp_type(6, ICMP6_TYPES[name]) for name in ICMP6_ERRORS])


def neighbours() -> Formula:
    """Neighbour discovery, which IPv6 cannot do without."""
    return either(icmp_type(6, number) for number in NEIGHBOURS)


def _entry(policy: Policy) -> Formula:
    """Well formed, and from where it says."""
    good_flags = either([Not(equal(Field.PROTO, TCP)), *(flags(ALL_FLAGS, value) for value in GOOD_FLAGS)])
    opening = either([Not(both(state("new"), equal(Field.PROTO, TCP))), flags(OPENING_MASK, OPENING)])
    local = either([network(Field.SRC, "::"), network(Field.SRC, "fe80::/10")])
    honest = both(Not(NO_RETURN_PATH), Not(within(Field.SRC, policy.own)), either(_honest(policy)))
    proper = both(equal(Field.FRAGMENT, 0), good_flags, opening, either([both(neighbours(), local), honest]))
    return either([Name(Field.IIF, "lo"), proper])


def impossible_outside(policy: Policy, version: int) -> list[IPNetwork]:
    """Sources that must not come from an external zone: reserved networks and our own."""
    admitted = [net for net in map(ip_network, policy.settings.admit_sources) if net.version == version]
    return collapse(subtract(bogons(version), admitted) + policy.inside(version))


def _honest(policy: Policy) -> Iterable[Formula]:
    """The source belongs to the side it comes from."""
    for name, zone in policy.zones.items():
        here = interfaces(policy, name, Field.IIF)
        if zone.external:
            for version in (4, 6):
                yield both(here, family(version), Not(within(Field.SRC, impossible_outside(policy, version))))
        else:
            yield both(here, within(Field.SRC, map(ip_network, zone.prefixes)))


def _within_end(which: Field, end: End) -> Formula:
    return TRUE if end.networks is None else within(which, end.networks)


def traffic_formula(items: Iterable[Traffic]) -> Formula:
    """The packets of these protocols, ports and messages."""
    return either(_one_traffic(item) for item in items)


def _one_traffic(item: Traffic) -> Formula:
    if item.proto in {ICMP, ICMP6}:
        return both(family(4 if item.proto == ICMP else 6), icmp_type(item.version, item.low))
    if (item.low, item.high) == (0, 65535):
        return equal(Field.PROTO, item.proto)
    return ports(Field.DPORT, item.low, item.high, (item.proto,))


def _sides(policy: Policy, item: Allowed) -> Formula:
    """The interfaces on both sides; the firewall itself has none."""
    parts = []
    if item.source.zone != FIREWALL:
        parts.append(interfaces(policy, item.source.zone, Field.IIF))
    if item.destination.zone != FIREWALL:
        parts.append(interfaces(policy, item.destination.zone, Field.OIF))
    return both(*parts)


def matching(policy: Policy, item: Allowed) -> Formula:
    """The packets that a permission speaks of, without its limits."""
    return both(_sides(policy, item), _ends(item))


def _ends(item: Allowed) -> Formula:
    """The same but for the interfaces."""
    return both(
        equal(Field.TRANSLATED, 1) if item.public else TRUE,
        traffic_formula(item.traffic),
        _within_end(Field.DST, item.destination),
        _within_end(Field.SRC, item.source),
    )


def _permissions(policy: Policy, items: Iterable[Allowed]) -> Formula:
    """The packets that these permissions let pass, pair of zones by pair of zones."""
    pairs: dict[tuple[str, str], list[Allowed]] = {}
    for item in items:
        pairs.setdefault((item.source.zone, item.destination.zone), []).append(item)
    return either(both(_sides(policy, found[0]), _suspended(policy, found[0]), either(map(_permission, found))) for found in pairs.values())


def _suspended(policy: Policy, item: Allowed) -> Formula:
    """What limits everything from the same zone."""
    zone = policy.zones.get(item.source.zone)
    if zone is None or not zone.external:
        return TRUE
    return either(both(family(version), *_outside_limits(policy, version)) for version in (4, 6))


def _permission(item: Allowed) -> Formula:
    """The packets that a permission lets pass, but for the interfaces and what limits the whole zone."""
    if not item.rate and not item.connections and not item.on_request:
        return _ends(item)
    return both(_ends(item), either(both(family(version), *_limits(item, version)) for version in (4, 6)))


def _limits(item: Allowed, version: int) -> Iterable[Formula]:
    """The conditions under which a permission is suspended, for one IP version."""
    if item.on_request:
        yield listed(f"{ADMITTED}{version}")
    if item.rate:
        yield Not(over_limit(f"rate_{key(item.id)}{version}", *item.rate, item.rate[0] * BURST))
    if item.connections:
        yield Not(over_connections(f"open_{key(item.id)}{version}", item.connections))


def _outside_limits(policy: Policy, version: int) -> Iterable[Formula]:
    settings = policy.settings
    if settings.scan.ban:
        yield Not(listed(f"scanners{version}"))
    rate = parse_rate(settings.limits.new)
    if rate:
        yield Not(over_limit(f"outside{version}", *rate, rate[0] * BURST))
    if settings.limits.connections:
        yield Not(over_connections(f"open{version}", settings.limits.connections))


def _ping(policy: Policy) -> Formula:
    """Echo requests to the firewall itself, within a common allowance."""
    rate = parse_rate(policy.settings.icmp.rate)
    assert rate
    asked = []
    for name in policy.settings.icmp.ping_from:
        for version, number in ((4, 8), (6, 128)):
            limits = _outside_limits(policy, version) if policy.zones[name].external else ()
            asked.append(both(family(version), interfaces(policy, name, Field.IIF), icmp_type(version, number), *limits))
    return both(within_limit(*rate, rate[0] * BURST), either(asked)) if asked else FALSE


def key(text: str) -> str:
    """A name in the form that rule sets allow in identifiers."""
    return text.replace("-", "_").replace(".", "_")


def _published(policy: Policy) -> Iterable[tuple[Formula, Rewrite]]:
    for item in policy.allowed:
        for net in item.public:
            asked = both(interfaces(policy, item.source.zone, Field.IIF), network(Field.DST, net), traffic_formula(item.traffic))
            if item.source.networks is not None:
                asked = both(asked, within(Field.SRC, item.source.networks))
            assert item.destination.networks
            target = int(item.destination.networks[0].network_address)
            yield asked, Rewrite("dnat", (target, target))


def _sources(policy: Policy) -> Iterable[tuple[Formula, Rewrite]]:
    """Hosts before zones, so that a host's own address wins; then the way back for inside users of a published host beside them."""
    for item in sorted(policy.translations, key=lambda item: item.source.networks is None):
        asked = both(
            family(4),
            interfaces(policy, item.source.zone, Field.IIF),
            interfaces(policy, item.to, Field.OIF),
            _within_end(Field.SRC, item.source),
        )
        number = int(ip_network(item.address).network_address) if item.address else None
        yield asked, Rewrite("snat", (number, number)) if number is not None else Rewrite("masquerade")
    for zone in dict.fromkeys(item.source.zone for item in policy.allowed if item.public and item.source.zone == item.destination.zone):
        asked = both(equal(Field.TRANSLATED, 1), interfaces(policy, zone, Field.IIF), interfaces(policy, zone, Field.OIF))
        yield asked, Rewrite("masquerade")


def _helpers(policy: Policy, through: Iterable[Allowed]) -> Iterable[tuple[str, Formula]]:
    """Which new connections are given to a helper."""
    found: dict[str, list[Formula]] = {}
    for item in through:
        if item.helper:
            found.setdefault(f"helper {item.helper}", []).append(both(state("new"), _permissions(policy, [item])))
    for name, formulas in found.items():
        yield name, either(formulas)
