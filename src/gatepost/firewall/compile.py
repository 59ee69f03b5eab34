"""From a policy to one nftables table that a kernel can load in one step.

What it does: writes `table inet gatepost`: base chains that drop by default and are never deleted, the checks every packet meets, one
chain for each pair of zones, one set lookup for all plain flows of a pair however many they are, and the translations.
Not its job: loading (`nft`), judging what was loaded (`prove`).
Raises: nothing; a policy that was declared can be compiled.

A reload is `flush table` and refill in one transaction. Deleting and making the table anew, as is usual, lets packets through in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import product

from gatepost.firewall.catalogue import (
    GOOD_FLAGS,
    ICMP6_ERRORS,
    ICMP_ERRORS,
    NEIGHBOURS,
    IPNetwork,
)
from gatepost.firewall.declare import Allowed, End, Policy, Traffic, parse_rate
from gatepost.firewall.formula import FLAG_BITS, ICMP, ICMP6, PROTOCOL_NAMES, TCP, UDP
from gatepost.firewall.intent import ADMITTED, BURST, impossible_outside, key
from gatepost.site.network import FIREWALL

TABLE = "gatepost"
BASE = """table inet gatepost {
    chain entry { type filter hook prerouting priority mangle; policy drop; }
    chain input { type filter hook input priority filter; policy drop; }
    chain forward { type filter hook forward priority filter; policy drop; }
    chain output { type filter hook output priority filter; policy drop; }
    chain publish { type nat hook prerouting priority dstnat; policy accept; }
    chain translate { type nat hook postrouting priority srcnat; policy accept; }
}
"""
"""The base chains alone: nothing passes. Loaded at boot before the network, and the first part of every rule set."""

ERRORS = (
    f'icmp type {{ {", ".join(ICMP_ERRORS)} }} accept comment "errors of known connections"',
    f'icmpv6 type {{ {", ".join(ICMP6_ERRORS)} }} accept comment "errors of known connections"',
)
DISCOVERY = f'icmpv6 type {{ {", ".join(map(str, NEIGHBOURS))} }} accept comment "neighbour discovery"'

VERSIONS = ((4, "ip"), (6, "ip6"))
PREFIX = "gatepost:"
"""How every log line begins; then the kind of line, then what it is about."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule set as text for `nft -f`. `objects` are the sets, maps and chains in it, by kind and name."""

    text: str
    objects: frozenset[tuple[str, str]]


def compile_policy(policy: Policy) -> Compiled:
    """The rule set of a policy."""
    return _Compiler(policy).compiled()


def reload_text(compiled: Compiled, present: Iterable[tuple[str, str]]) -> str:
    """One transaction that replaces the rules and removes the sets, maps and chains in `present` that are no longer used.

    Base chains stay, so that packets meet a policy of drop at every moment. Sets that fill while running stay too.
    """
    gone = [item for item in sorted(set(present)) if item not in compiled.objects]
    removal = [f"delete {kind} inet {TABLE} {name}" for kind, name in sorted(gone, key=lambda item: item[0] != "map")]
    kept = [
        f"flush {kind} inet {TABLE} {name}" for kind, name in sorted(present) if (kind, name) in compiled.objects and kind in {"set", "map"}
    ]
    kept = [line for line in kept if not line.split()[-1].startswith(RUNNING)]
    return BASE + "\n".join([f"flush table inet {TABLE}", *kept, *removal, compiled.text])


RUNNING = ("outside", "open", "rate_", "scan", ADMITTED)
"""How the names of sets begin that fill while running: what they have learnt outlives a reload."""


def quoted(items: Iterable[str]) -> str:
    """Interface names as nft wants them."""
    return ", ".join(f'"{item}"' for item in items)


def ports_text(low: int, high: int) -> str:
    """A port or a range of ports."""
    return str(low) if low == high else f"{low}-{high}"


class _Compiler:
    """Collects definitions and chains, then writes them in an order that nft accepts."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.pairs = policy.pairs()
        self.definitions: list[str] = []
        self.chains: list[str] = []
        self.objects: set[tuple[str, str]] = set()

    def compiled(self) -> Compiled:
        self._sources()
        self._limit_sets()
        self._common()
        for (source, destination), items in self.pairs.items():
            self._pair(source, destination, items)
        self._refusals()
        self._entry()
        self._hooks()
        self._publish()
        self._translate()
        body = "\n".join(self.definitions + self.chains)
        return Compiled(f"table inet {TABLE} {{\n{body}\n}}\n", frozenset(self.objects))

    def _set(self, name: str, kind: str, elements: Iterable[str], options: str = "") -> None:
        self.objects.add(("set", name))
        listed = ",\n            ".join(elements)
        inside = f"\n        elements = {{\n            {listed} }}" if listed else ""
        self.definitions.append(f"    set {name} {{\n        type {kind}{options}{inside}\n    }}")

    def _running_set(self, name: str, version: int, timeout: int | None) -> None:
        flags = f"flags dynamic,timeout; timeout {timeout}s" if timeout else "flags dynamic"
        self._set(name, f"ipv{version}_addr", (), f"; size 65535; {flags}")

    def _chain(self, name: str, rules: Iterable[str], *, base: bool = False) -> None:
        if not base:
            self.objects.add(("chain", name))
        self.chains.append("\n".join([f"    chain {name} {{", *(f"        {rule}" for rule in rules), "    }"]))

    def _map(self, name: str, kind: str, elements: list[str]) -> None:
        self.objects.add(("map", name))
        listed = ",\n            ".join(elements)
        inside = f"; elements = {{\n            {listed} }}" if elements else ""
        self.chains.append(f"    map {name} {{ type {kind} : verdict{inside}\n    }}")

    # The checks that every arriving packet meets.

    def _sources(self) -> None:
        for version, _ in VERSIONS:
            inside = [
                f'"{interface}" . {net}'
                for zone in self.policy.zones.values()
                for interface in zone.interfaces
                for net in map(ip_network, zone.prefixes)
                if net.version == version
            ]
            self._set(f"inside{version}", f"ifname . ipv{version}_addr", inside, "; flags interval")
            never = [str(net) for net in impossible_outside(self.policy, version)]
            self._set(f"never{version}", f"ipv{version}_addr", never, "; flags interval")
            self._set(
                f"own{version}", f"ipv{version}_addr", [str(net.network_address) for net in self.policy.own if net.version == version]
            )

    def _entry(self) -> None:
        every = " | ".join(FLAG_BITS)
        good = ", ".join(" | ".join(name for name, bit in FLAG_BITS.items() if value & bit) for value in GOOD_FLAGS)
        external = [name for zone in self.policy.zones.values() if zone.external for name in zone.interfaces]
        discovery = f"icmpv6 type {{ {', '.join(map(str, NEIGHBOURS))} }}"
        rules = [
            'iifname "lo" accept',
            'ip frag-off & 0x1fff != 0 goto malformed comment "fragments"',
            'exthdr frag exists goto malformed comment "fragments"',
            f'tcp flags & ({every}) != {{ {good} }} goto malformed comment "impossible TCP flags"',
            'ct state new tcp flags & (fin | syn | rst | ack) != syn goto malformed comment "new but not SYN"',
            f'{discovery} ip6 saddr {{ ::, fe80::/10 }} accept comment "neighbour discovery"',
            'fib saddr . iif oif missing goto spoofed comment "no way back to the source"',
        ]
        for version, word in VERSIONS:
            rules.append(f'{word} saddr @own{version} goto spoofed comment "our own address"')
            rules.append(f'iifname . {word} saddr @inside{version} accept comment "source of this zone"')
            if external:
                rules.append(f'iifname {{ {quoted(external)} }} {word} saddr != @never{version} accept comment "source from outside"')
        self._chain("malformed", self._refusal("malformed", "drop"))
        self._chain("spoofed", self._refusal("spoofed", "drop"))
        self._chain("entry", [*rules, 'goto spoofed comment "source of another side"'], base=True)

    # What all paths share.

    def _refusal(self, word: str, end: str) -> list[str]:
        """Log at a bounded rate, count, end."""
        return [self._log(f"{word} "), f'counter {end} comment "{word}"']

    def _log(self, prefix: str) -> str:
        logging = self.policy.settings.logging
        count, per = parse_rate(logging.rate) or (10, "second")
        return f'limit rate {count}/{per} burst {count * BURST} packets log prefix "{PREFIX}{prefix}" group {logging.group}'

    def _common(self) -> None:
        helpers = {item.helper for item in self.policy.allowed if item.helper}
        for name in sorted(helpers):
            self.objects.add(("ct helper", name))
            self.definitions.append(f'    ct helper {name} {{\n        type "{name}" protocol tcp\n        l3proto inet\n    }}')
        self._chain("related", [*ERRORS, 'ct helper "ftp" accept comment "data connections of FTP"'])
        self._chain("neighbours", [DISCOVERY])

    def _limit_sets(self) -> None:
        settings = self.policy.settings
        for version, _ in VERSIONS:
            self._running_set(f"scan{version}", version, 60)
            self._running_set(f"scanners{version}", version, settings.scan.remember)
            if settings.limits.new:
                self._running_set(f"outside{version}", version, 60)
            if settings.limits.connections:
                self._running_set(f"open{version}", version, None)
            if any(item.on_request for item in self.policy.allowed):
                self._set(f"{ADMITTED}{version}", f"ipv{version}_addr", (), "; flags timeout")

    def _outside_limits(self) -> Iterator[str]:
        """What a source from outside must not exceed, whatever it asks for."""
        settings = self.policy.settings
        rate = parse_rate(settings.limits.new)
        for version, word in VERSIONS:
            if settings.scan.ban:
                yield f'{word} saddr @scanners{version} goto banned comment "known scanner"'
            if rate:
                yield f'{self._over(word, f"outside{version}", rate)} goto flooding comment "too many new connections"'
            if settings.limits.connections:
                count = settings.limits.connections
                yield f'add @open{version} {{ {word} saddr ct count over {count} }} goto flooding comment "too many open connections"'

    @staticmethod
    def _over(word: str, name: str, rate: tuple[int, str]) -> str:
        count, per = rate
        return f"update @{name} {{ {word} saddr limit rate over {count}/{per} burst {count * BURST} packets }}"

    # One chain for each pair of zones.

    def _pair(self, source: str, destination: str, items: list[Allowed]) -> None:
        name = pair_name(source, destination)
        rules: list[str] = []
        if source != FIREWALL and self.policy.zones[source].external:
            rules += self._outside_limits()
        special = [item for item in items if not item.plain]
        for item in special:
            rules += self._special(item)
        plain = [item for item in items if item.plain]
        rules += self._lookups(name, [item for item in plain if not item.public], "")
        rules += self._lookups(f"{name}_public", [item for item in plain if item.public], "ct status dnat ")
        rules += [rule for item in plain for rule in self._without_ports(item)]
        if destination == FIREWALL:
            rules += self._ping(source)
        self._chain(name, [*rules, f"goto {self._refuse_name(source)}"])

    def _special(self, item: Allowed) -> Iterator[str]:
        """A flow that is logged, limited or helped has a chain of its own."""
        name = f"flow_{key(item.id)}"
        status = "ct status dnat " if item.public else ""
        for version, word in VERSIONS:
            ends = self._ends(item, version, word)
            if ends is None:
                continue
            opened = f"{word} saddr @{ADMITTED}{version} " if item.on_request else ""
            for match in matches(item.traffic, version):
                yield f'{status}{ends}{opened}{match} goto {name} comment "{item.id}"'
        if ("chain", name) in self.objects:
            return
        self._chain(name, self._special_rules(item))

    def _special_rules(self, item: Allowed) -> Iterator[str]:
        for version, word in VERSIONS:
            if item.rate:
                self._running_set(f"rate_{key(item.id)}{version}", version, 60)
                yield f'{self._over(word, f"rate_{key(item.id)}{version}", item.rate)} goto flooding comment "{item.id}"'
            if item.connections:
                self._running_set(f"open_{key(item.id)}{version}", version, None)
                yield f'add @open_{key(item.id)}{version} {{ {word} saddr ct count over {item.connections} }} goto flooding comment "{item.id}"'
        if item.log:
            yield self._log(f"{item.log.strip()} ")
        if item.helper:
            yield f'ct helper set "{item.helper}"'
        yield f'counter accept comment "{item.id}"'

    @staticmethod
    def _ends(item: Allowed, version: int, word: str) -> str | None:
        """The addresses of both ends as matches; None when an end has no address of this IP version."""
        parts = []
        for end, side in ((item.source, "saddr"), (item.destination, "daddr")):
            if end.networks is None:
                continue
            here = [str(net) for net in end.networks if net.version == version]
            if not here:
                return None
            parts.append(f"{word} {side} {{ {', '.join(here)} }} ")
        return "".join(parts) or f"meta nfproto ipv{version} "

    def _without_ports(self, item: Allowed) -> Iterator[str]:
        for version, word in VERSIONS:
            ends = self._ends(item, version, word)
            if ends is not None:
                yield from (f'{ends}{match} counter accept comment "{item.id}"' for match in portless(item.traffic, version))

    def _lookups(self, name: str, items: list[Allowed], condition: str) -> Iterator[str]:
        """All plain flows of a pair: one lookup for each shape of key (with or without source and destination, exact or ranges)."""
        rows: dict[tuple[int, str, bool], dict[str, str]] = {}
        for item in items:
            for version, shape, exact, text in _rows(item):
                rows.setdefault((version, shape, exact), {})[text] = item.id
        for (version, shape, exact), elements in rows.items():
            word = dict(VERSIONS)[version]
            set_name = f"{name}_{shape}{version}{'' if exact else '_wide'}"
            kinds = [f"ipv{version}_addr" for _ in shape if _ in "sd"]
            options = "; counter" if exact else "; flags interval; counter"
            listed = (f'{text} comment "{label}"' for text, label in elements.items())
            self._set(set_name, " . ".join([*kinds, "inet_proto", "inet_service"]), listed, options)
            sides = [f"{word} {side} . " for letter, side in (("s", "saddr"), ("d", "daddr")) if letter in shape]
            guard = "" if sides else f"meta nfproto ipv{version} "
            yield f'{guard}{condition}{"".join(sides)}meta l4proto . th dport @{set_name} accept comment "flows of {name}"'

    def _ping(self, source: str) -> Iterator[str]:
        if source in self.policy.settings.icmp.ping_from:
            count, per = parse_rate(self.policy.settings.icmp.rate) or (10, "second")
            limit = f"limit rate {count}/{per} burst {count * BURST} packets"
            # One rule for both IP versions, so that they share one allowance.
            yield 'meta l4proto { icmp, ipv6-icmp } jump echo comment "ping"'
            self._chain_once("echo", ["icmp type echo-request goto echo_limit", "icmpv6 type echo-request goto echo_limit"])
            self._chain_once("echo_limit", [f'{limit} counter accept comment "ping"'])

    def _chain_once(self, name: str, rules: list[str]) -> None:
        if ("chain", name) not in self.objects:
            self._chain(name, rules)

    # What is refused.

    def _refuse_name(self, source: str) -> str:
        return f"refuse_{key(source)}"

    def _refusals(self) -> None:
        settings = self.policy.settings
        self._chain("flooding", self._refusal("flooding", "drop"))
        self._chain("banned", self._refusal("banned", "drop"))
        rate = parse_rate(settings.scan.rate) or (20, "minute")
        for name, zone in self.policy.zones.items():
            end = "reject with icmpx admin-prohibited" if zone.refuse == "reject" else "drop"
            rules = [
                f"{self._over(word, f'scan{v}', rate)} update @scanners{v} {{ {word} saddr }}" for v, word in VERSIONS if zone.external
            ]
            self._chain(self._refuse_name(name), [*rules, *self._refusal(f"refused:{name}", end)])
        self._chain(self._refuse_name(FIREWALL), self._refusal(f"refused:{FIREWALL}", "drop"))

    # The base chains.

    def _hooks(self) -> None:
        inside = f'{by_state("drop")} comment "state"'
        local = f'{by_state("goto neighbours")} comment "state"'
        through, to_us, from_us, refuse = [], [], [], []
        for source, destination in self._all_pairs():
            target = f"goto {pair_name(source, destination)}"
            left = self.policy.zones[source].interfaces if source != FIREWALL else ()
            right = self.policy.zones[destination].interfaces if destination != FIREWALL else ()
            through += [f'"{a}" . "{b}" : {target}' for a, b in product(left, right)]
            to_us += [f'"{a}" : {target}' for a in left if destination == FIREWALL]
            from_us += [f'"{b}" : {target}' for b in right if source == FIREWALL]
        refuse = [f'"{a}" : goto {self._refuse_name(name)}' for name, zone in self.policy.zones.items() for a in zone.interfaces]
        self._map("through", "ifname . ifname", through)
        self._map("to_us", "ifname", to_us)
        self._map("from_us", "ifname", from_us)
        self._map("refused", "ifname", refuse)
        end = "iifname vmap @refused"
        self._chain("forward", [inside, "iifname . oifname vmap @through", end], base=True)
        self._chain("input", ['iifname "lo" accept', local, "iifname vmap @to_us", end], base=True)
        self._chain("output", ['oifname "lo" accept', local, "oifname vmap @from_us", f"goto {self._refuse_name(FIREWALL)}"], base=True)

    def _all_pairs(self) -> Iterator[tuple[str, str]]:
        yield from self.pairs
        for name in self.policy.settings.icmp.ping_from:
            if (name, FIREWALL) not in self.pairs:
                self._pair(name, FIREWALL, [])
                yield name, FIREWALL

    # Translation.

    def _publish(self) -> None:
        rules = []
        for item in self.policy.allowed:
            for net in item.public:
                word = dict(VERSIONS)[net.version]
                here = quoted(self.policy.zones[item.source.zone].interfaces)
                source = self._side(item.source, net.version, word, "saddr")
                target = item.destination.networks[0].network_address if item.destination.networks else ""
                rules += [
                    f"iifname {{ {here} }} {source}{word} daddr {net.network_address} {match} counter dnat {word} to {target} "
                    f'comment "{item.id}"'
                    for match in matches(item.traffic, net.version)
                ]
        self._chain("publish", rules, base=True)

    @staticmethod
    def _side(end: End, version: int, word: str, side: str) -> str:
        if end.networks is None:
            return ""
        return f"{word} {side} {{ {', '.join(str(net) for net in end.networks if net.version == version)} }} "

    def _translate(self) -> None:
        rules = []
        for item in sorted(self.policy.translations, key=lambda item: item.source.networks is None):
            here = quoted(self.policy.zones[item.source.zone].interfaces)
            there = quoted(self.policy.zones[item.to].interfaces)
            source = self._side(item.source, 4, "ip", "saddr") or "meta nfproto ipv4 "
            action = f"snat ip to {item.address}" if item.address else "masquerade"
            rules.append(f"iifname {{ {here} }} oifname {{ {there} }} {source}{action}")
        for zone in dict.fromkeys(
            item.source.zone for item in self.policy.allowed if item.public and item.source.zone == item.destination.zone
        ):
            here = quoted(self.policy.zones[zone].interfaces)
            rules.append(f'ct status dnat iifname {{ {here} }} oifname {{ {here} }} masquerade comment "way back inside {zone}"')
        self._chain("translate", rules, base=True)


def by_state(untracked: str) -> str:
    """What is decided by the state of the connection alone; only new ones go on, and `untracked` ones as told."""
    return f"ct state vmap {{ established : accept, related : goto related, invalid : drop, untracked : {untracked} }}"


def matches(traffic: Iterable[Traffic], version: int) -> Iterator[str]:
    """The matches for these protocols, ports and messages in one IP version; any of them is enough."""
    for proto in (TCP, UDP):
        spans = [ports_text(item.low, item.high) for item in traffic if item.proto == proto]
        if spans:
            yield f"{PROTOCOL_NAMES[proto]} dport {{ {', '.join(spans)} }}"
    yield from portless(traffic, version)


def portless(traffic: Iterable[Traffic], version: int) -> Iterator[str]:
    """The matches for what has no ports."""
    for proto, name in ((ICMP, "icmp"), (ICMP6, "icmpv6")):
        types = [str(item.low) for item in traffic if item.proto == proto and item.version == version]
        if types:
            yield f"{name} type {{ {', '.join(types)} }}"
    yield from (f"meta l4proto {item.proto}" for item in traffic if item.proto not in {TCP, UDP, ICMP, ICMP6})


def pair_name(source: str, destination: str) -> str:
    """The chain for traffic from one zone to another."""
    return f"{key(source)}_to_{key(destination)}"


def _rows(item: Allowed) -> Iterator[tuple[int, str, bool, str]]:
    """The set elements of a plain flow: IP version, shape of the key, whether every part is a single value, text."""
    traffic = [one for one in item.traffic if one.proto in {TCP, UDP}]
    for version, _ in VERSIONS:
        sides = [_texts(end.networks, version) for end in (item.source, item.destination)]
        shape = "".join(letter for letter, end in (("s", item.source), ("d", item.destination)) if end.networks is not None)
        for source, destination, one in product(sides[0], sides[1], traffic):
            nets: list[IPNetwork] = [net for net in (source, destination) if net is not None]
            exact = one.low == one.high and all(net.num_addresses == 1 for net in nets)
            keys = [*(str(net.network_address) if net.num_addresses == 1 else str(net) for net in nets)]
            yield version, shape, exact, " . ".join([*keys, PROTOCOL_NAMES[one.proto], ports_text(one.low, one.high)])


def _texts(networks: tuple[IPNetwork, ...] | None, version: int) -> list[IPNetwork | None]:
    return [None] if networks is None else [net for net in networks if net.version == version]
