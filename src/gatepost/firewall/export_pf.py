"""The same policy for a second firewall that is no Linux: a pf.conf for OpenBSD.

What it does: writes one file for both IP versions. A connection is tagged with its pair of zones where it comes in and may leave only on
the interfaces of that pair; every rule has the flow's id as label.
Not its job: proof. There is no reader of pf here: load the file with `pfctl -nf` on the firewall before it is trusted.
Raises: `ExportError` for what pf cannot say in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from itertools import product

from gatepost.firewall.catalogue import NEIGHBOURS, IPNetwork
from gatepost.firewall.compile import VERSIONS, pair_name
from gatepost.firewall.declare import Allowed, End, Policy, Traffic, parse_rate
from gatepost.firewall.export_iptables import ExportError
from gatepost.firewall.formula import ICMP, ICMP6, PROTOCOL_NAMES, TCP, UDP
from gatepost.firewall.intent import impossible_outside, key
from gatepost.site.network import FIREWALL

FAMILY = {4: "inet", 6: "inet6"}
PING = {4: "proto icmp from any to self icmp-type 8", 6: "proto icmp6 from any to self icmp6-type 128"}
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
HEAD = """# The network policy for pf on OpenBSD; check it with: pfctl -nf FILE
# Interfaces have other names there: set the macros. Fragments and impossible TCP flags are refused by pf itself (set reassemble),
# ICMP errors and replies pass by state. Limits are kept for each rule and count finished TCP handshakes; firewall.limits is not in here.
"""


def export_pf(policy: Policy) -> str:
    """The pf.conf of a policy."""
    return _Export(policy).text()


class _Export:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def text(self) -> str:
        if self.policy.settings.scan.ban:
            raise ExportError("shutting scanners out has no equal in pf; use nftables, or set firewall.scan.ban = false")
        parts = [self._macros(), self._tables(), self._always(), self._translations()]
        parts += [self._published(), self._to_us(), self._through(), self._leaving(), self._from_us()]
        return HEAD + "".join("\n" + "\n".join(part) + "\n" for part in map(list, parts) if part)

    def _sides(self, zone: str) -> list[str]:
        """The interfaces of a zone, as macros."""
        return [f"${key(zone)}_{number}" for number, _ in enumerate(self.policy.zones[zone].interfaces, 1)]

    def _macros(self) -> Iterator[str]:
        for name, zone in self.policy.zones.items():
            for side, interface in zip(self._sides(name), zone.interfaces, strict=True):
                yield f'{side.removeprefix("$")} = "{interface}"'

    def _tables(self) -> Iterator[str]:
        never = [net for version, _ in VERSIONS for net in impossible_outside(self.policy, version)]
        yield _table("never", never)
        yield _table("own", self.policy.own)
        for name, zone in self.policy.zones.items():
            if not zone.external:
                yield _table(key(name), map(ip_network, zone.prefixes))

    def _always(self) -> Iterator[str]:
        """Nothing passes but what follows; a packet is from where it says, or goes no further."""
        yield from ("set skip on lo", "set block-policy drop", "set reassemble yes", "block log all")
        for name, zone in self.policy.zones.items():
            if zone.refuse == "reject":
                yield from (f"block return in log on {side} all" for side in self._sides(name))
        types = ", ".join(map(str, NEIGHBOURS))
        yield f"pass in quick inet6 proto icmp6 from {{ ::, fe80::/10 }} to any icmp6-type {{ {types} }} no state"
        yield f"pass out quick inet6 proto icmp6 from any to any icmp6-type {{ {types} }} no state"
        yield "block in log quick from urpf-failed to any"
        yield "block in log quick from <own> to any"
        for name, zone in self.policy.zones.items():
            source = "<never>" if zone.external else f"! <{key(name)}>"
            yield from (f"block in log quick on {side} from {source} to any" for side in self._sides(name))

    def _translations(self) -> Iterator[str]:
        """Hosts before zones: after the first translation the packet has another source, so the second does not fit."""
        for item in sorted(self.policy.translations, key=lambda item: item.source.networks is None):
            for come, go in product(self._sides(item.source.zone), self._sides(item.to)):
                for source in self._nets(item.source, 4):
                    yield f"match out on {go} inet from {source} to any received-on {come} nat-to {item.address or f'({go})'}"

    def _published(self) -> Iterator[str]:
        for item in self.policy.allowed:
            for net in item.public:
                if item.source.zone == item.destination.zone:
                    raise ExportError(
                        f'"{item.id}": the way back inside {item.source.zone} has no equal here; offer it to other zones only'
                    )
                target = item.destination.networks[0].network_address if item.destination.networks else ""
                for side, source in product(self._sides(item.source.zone), self._nets(item.source, net.version)):
                    ends = f"from {source} to {net.network_address}"
                    yield from _rules(item, f"in {_log(item)}quick on {side}", net.version, ends, f"{_tag(item)} rdr-to {target}")

    def _to_us(self) -> Iterator[str]:
        for item in self.policy.allowed:
            if item.destination.zone == FIREWALL:
                yield from self._entering(item, "")
        rate, per = parse_rate(self.policy.settings.icmp.rate) or (10, "second")
        for name, (version, _) in product(self.policy.settings.icmp.ping_from, VERSIONS):
            for side in self._sides(name):
                yield f'pass in quick on {side} {FAMILY[version]} {PING[version]} max-pkt-rate {rate}/{SECONDS[per]} label "ping"'
        yield "block in log quick from any to self"

    def _through(self) -> Iterator[str]:
        """The first rule that fits gives the tag, so flows to anywhere come last: they must not take what another flow lets elsewhere."""
        for item in sorted(self.policy.allowed, key=lambda item: self._nets(item.destination, 4) == ["any"]):
            if FIREWALL not in {item.source.zone, item.destination.zone} and not item.public:
                yield from self._entering(item, _tag(item))

    def _entering(self, item: Allowed, tag: str) -> Iterator[str]:
        for version, _ in VERSIONS:
            ends = product(self._sides(item.source.zone), self._nets(item.source, version), self._nets(item.destination, version))
            for side, source, destination in ends:
                yield from _rules(item, f"in {_log(item)}quick on {side}", version, f"from {source} to {destination}", tag)

    def _leaving(self) -> Iterator[str]:
        """What has come in by a flow leaves on the side of that flow only."""
        for source, destination in self.policy.pairs():
            if FIREWALL not in {source, destination}:
                yield from (f"pass out quick on {side} all tagged {pair_name(source, destination)}" for side in self._sides(destination))

    def _from_us(self) -> Iterator[str]:
        for item in self.policy.allowed:
            if item.source.zone == FIREWALL:
                for side, (version, _) in product(self._sides(item.destination.zone), VERSIONS):
                    for destination in self._nets(item.destination, version):
                        yield from _rules(item, f"out {_log(item)}quick on {side}", version, f"from self to {destination}", "")

    def _nets(self, end: End, version: int) -> list[str]:
        """The addresses of an end in pf's words."""
        if end.zone == FIREWALL:
            return ["self"]
        if end.networks is not None:
            return [_short(net) for net in end.networks if net.version == version]
        return ["any"] if self.policy.zones[end.zone].external else [f"<{key(end.zone)}>"]


def _table(name: str, networks: Iterable[IPNetwork]) -> str:
    return f"table <{name}> const {{ {', '.join(map(_short, networks))} }}"


def _short(net: IPNetwork) -> str:
    return str(net.network_address if net.num_addresses == 1 else net)


def _log(item: Allowed) -> str:
    return "log " if item.log else ""


def _tag(item: Allowed) -> str:
    return f" tag {pair_name(item.source.zone, item.destination.zone)}"


def _rules(item: Allowed, way: str, version: int, ends: str, tail: str) -> Iterator[str]:
    """The rules of a permission for one IP version and one pair of addresses."""
    if item.on_request:
        raise ExportError(f'"{item.id}": only nftables opens a way for a time; leave on_request out, or use nftables')
    if item.helper:
        raise ExportError(f'"{item.id}": pf follows {item.helper} with a proxy only; leave the helper out, or use nftables')
    for what, extra in _traffic(item.traffic, version):
        yield f'pass {way} {FAMILY[version]} {what} {ends}{extra}{tail}{_limits(item, what)} label "{item.id}"'


def _traffic(traffic: Iterable[Traffic], version: int) -> Iterator[tuple[str, str]]:
    """Protocol, and what stands behind the addresses."""
    found = list(traffic)
    for proto in (TCP, UDP):
        spans = [str(one.low) if one.low == one.high else f"{one.low}:{one.high}" for one in found if one.proto == proto]
        if spans:
            yield f"proto {PROTOCOL_NAMES[proto]}", f" port {{ {', '.join(spans)} }}"
    for one in found:
        if one.proto in {ICMP, ICMP6} and one.version == version:
            name = "icmp" if one.proto == ICMP else "icmp6"
            yield f"proto {name}", f" {name}-type {one.low}"
        elif one.proto not in {TCP, UDP, ICMP, ICMP6}:
            yield f"proto {one.proto}", ""


def _limits(item: Allowed, what: str) -> str:
    """The limits of a permission; pf counts sources by finished handshakes, so limits are for TCP."""
    if not item.rate and not item.connections:
        return ""
    if what != "proto tcp":
        raise ExportError(f'"{item.id}": pf limits the sources of TCP only; use nftables')
    limits = [f"max-src-conn {item.connections}"] if item.connections else []
    if item.rate:
        limits.append(f"max-src-conn-rate {item.rate[0]}/{SECONDS[item.rate[1]]}")
    return f" keep state ({', '.join(limits)})"
