"""The same policy for a host without nftables: files for iptables-restore and ip6tables-restore.

What it does: writes one file for each IP version, with the same checks in the same order; the same proof holds for what they load.
Not its job: speed. Each flow is a rule here, so thousands of flows are slow; that is what nftables is for.
Raises: `ExportError` for what iptables cannot say in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from itertools import product

from gatepost.firewall.catalogue import GOOD_FLAGS, ICMP6_ERRORS, ICMP6_TYPES, ICMP_ERRORS, ICMP_TYPES, NEIGHBOURS
from gatepost.firewall.compile import PREFIX
from gatepost.firewall.declare import Allowed, End, Policy, Traffic, parse_rate
from gatepost.firewall.formula import FLAG_BITS, ICMP, ICMP6, PROTOCOL_NAMES, TCP, UDP
from gatepost.firewall.intent import BURST, impossible_outside, key
from gatepost.site.network import FIREWALL


class ExportError(Exception):
    """Something in the policy has no equal in iptables."""


def export_iptables(policy: Policy, version: int) -> str:
    """The file for iptables-restore (4) or ip6tables-restore (6)."""
    return _Export(policy, version).text()


class _Export:
    def __init__(self, policy: Policy, version: int) -> None:
        self.policy, self.version = policy, version
        self.icmp = "icmp" if version == 4 else "ipv6-icmp"  # noqa: PLR2004 - IP version 4
        self.type_option = "--icmp-type" if version == 4 else "--icmpv6-type"  # noqa: PLR2004 - IP version 4

    def text(self) -> str:
        chains = {"entry": list(self._entry()), "known": list(self._known()), "outside": list(self._outside())}
        chains |= {"INPUT": list(self._input()), "FORWARD": list(self._forward()), "OUTPUT": list(self._output())}
        raw = ["*raw", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *self._raw(), "COMMIT"]
        mangle = ["*mangle", ":PREROUTING DROP [0:0]", ":entry - [0:0]", "-A PREROUTING -j entry"]
        mangle += [f"-A entry {rule}" for rule in chains.pop("entry")] + ["COMMIT"]
        filters = ["*filter", *(f":{name} {'DROP' if name.isupper() else '-'} [0:0]" for name in chains)]
        filters += [f"-A {name} {rule}" for name, rules in chains.items() for rule in rules] + ["COMMIT"]
        return "\n".join([*raw, *mangle, *self._nat(), *filters]) + "\n"

    def _raw(self) -> Iterator[str]:
        """Helpers are given here, because iptables can do it in this table only."""
        for item in self.policy.allowed:
            if item.on_request:
                raise ExportError(f'"{item.id}": only nftables opens a way for a time; leave on_request out, or use nftables')
            if item.helper:
                raise ExportError(
                    f'"{item.id}": iptables gives a helper before it knows where a packet goes, so this cannot be proved; use nftables'
                )
        yield from ()

    def _nets(self, end: End) -> list[str]:
        """The addresses of an end; "" is the whole zone."""
        return [""] if end.networks is None else [str(net) for net in end.networks if net.version == self.version]

    def _entry(self) -> Iterator[str]:
        yield "-i lo -j ACCEPT"
        if self.version == 4:  # noqa: PLR2004 - IP version 4
            yield "-f -j DROP"
        else:
            yield "-m frag -j DROP"
        for value in range(64):
            if value not in GOOD_FLAGS:
                names = ",".join(name.upper() for name, bit in FLAG_BITS.items() if value & bit) or "NONE"
                yield f"-p tcp --tcp-flags ALL {names} -j DROP"
        yield "-p tcp -m conntrack --ctstate NEW ! --syn -j DROP"
        if self.version == 6:  # noqa: PLR2004 - IP version 6
            for number, source in product(NEIGHBOURS, ("::/128", "fe80::/10")):
                yield f"-s {source} -p {self.icmp} {self.type_option} {number} -j ACCEPT"
        yield "-m rpfilter --invert -j DROP"
        yield from (f"-s {net} -j DROP" for net in self.policy.own if net.version == self.version)
        for zone in self.policy.zones.values():
            nets = [net for net in map(ip_network, zone.prefixes) if net.version == self.version]
            for interface in zone.interfaces:
                yield from (f"-i {interface} -s {net} -j ACCEPT" for net in nets)
                if zone.external:
                    yield from (f"-i {interface} -s {net} -j DROP" for net in impossible_outside(self.policy, self.version))
                    yield f"-i {interface} -j ACCEPT"

    def _known(self) -> Iterator[str]:
        yield "-m conntrack --ctstate ESTABLISHED -j ACCEPT"
        errors, types = (ICMP_ERRORS, ICMP_TYPES) if self.version == 4 else (ICMP6_ERRORS, ICMP6_TYPES)  # noqa: PLR2004 - IP version 4
        for name in errors:
            yield f"-p {self.icmp} {self.type_option} {types[name]} -m conntrack --ctstate RELATED -j ACCEPT"
        yield '-m helper --helper "ftp" -m conntrack --ctstate RELATED -j ACCEPT'
        yield "-m conntrack --ctstate ESTABLISHED,RELATED,INVALID -j DROP"

    def _neighbours(self) -> Iterator[str]:
        if self.version == 6:  # noqa: PLR2004 - IP version 6
            yield from (f"-p {self.icmp} {self.type_option} {number} -m conntrack --ctstate UNTRACKED -j ACCEPT" for number in NEIGHBOURS)
        yield "-m conntrack --ctstate UNTRACKED -j DROP"

    def _outside(self) -> Iterator[str]:
        settings = self.policy.settings
        rate = parse_rate(settings.limits.new)
        if settings.scan.ban:
            raise ExportError("shutting scanners out has no equal in iptables; use nftables, or set firewall.scan.ban = false")
        if rate:
            yield self._over(f"outside{self.version}", rate)
        if settings.limits.connections:
            yield self._open(f"open{self.version}", settings.limits.connections)
        yield "-j RETURN"

    def _over(self, name: str, rate: tuple[int, str]) -> str:
        count, per = rate
        unit = {"second": "sec", "minute": "min", "hour": "hour"}[per]
        limits = f"--hashlimit-above {count}/{unit} --hashlimit-burst {count * BURST} --hashlimit-mode srcip --hashlimit-name {name}"
        return f"-m hashlimit {limits} -j DROP"

    def _open(self, name: str, count: int) -> str:
        mask = 32 if self.version == 4 else 128  # noqa: PLR2004 - bits of an address
        return f"-m comment --comment {name} -m connlimit --connlimit-above {count} --connlimit-mask {mask} --connlimit-saddr -j DROP"

    def _forward(self) -> Iterator[str]:
        yield "-j known"
        yield "-m conntrack --ctstate UNTRACKED -j DROP"
        for (source, destination), items in self.policy.pairs().items():
            if FIREWALL not in {source, destination}:
                for a, b in product(self.policy.zones[source].interfaces, self.policy.zones[destination].interfaces):
                    yield from self._pair(source, items, f"-i {a} -o {b} ")
        yield from self._refused("-i")

    def _input(self) -> Iterator[str]:
        yield "-i lo -j ACCEPT"
        yield "-j known"
        yield from self._neighbours()
        rate, per = parse_rate(self.policy.settings.icmp.rate) or (10, "second")
        for (source, destination), items in self.policy.pairs().items():
            if destination == FIREWALL:
                for a in self.policy.zones[source].interfaces:
                    yield from self._pair(source, items, f"-i {a} ")
        echo = 8 if self.version == 4 else 128  # noqa: PLR2004 - IP version 4
        asked = [name for zone in self.policy.settings.icmp.ping_from for name in self.policy.zones[zone].interfaces]
        limit = f"-m limit --limit {rate}/{per[:3]} --limit-burst {rate * BURST}"
        yield from (f"-i {name} -p {self.icmp} {self.type_option} {echo} {limit} -j ACCEPT" for name in asked)
        yield from self._refused("-i")

    def _output(self) -> Iterator[str]:
        yield "-o lo -j ACCEPT"
        yield "-j known"
        yield from self._neighbours()
        for (source, destination), items in self.policy.pairs().items():
            if source == FIREWALL:
                for b in self.policy.zones[destination].interfaces:
                    yield from self._pair(source, items, f"-o {b} ")

    def _refused(self, option: str) -> Iterator[str]:
        logging = self.policy.settings.logging
        count, per = parse_rate(logging.rate) or (10, "second")
        for name, zone in self.policy.zones.items():
            for interface in zone.interfaces:
                limit = f"-m limit --limit {count}/{per[:3]} --limit-burst {count * BURST}"
                yield f'{option} {interface} {limit} -j NFLOG --nflog-group {logging.group} --nflog-prefix "{PREFIX}refused:{name} "'
                if zone.refuse == "reject":
                    reason = "icmp-admin-prohibited" if self.version == 4 else "icmp6-adm-prohibited"  # noqa: PLR2004 - IP version 4
                    yield f"{option} {interface} -j REJECT --reject-with {reason}"

    def _pair(self, source: str, items: list[Allowed], sides: str) -> Iterator[str]:
        if source != FIREWALL and self.policy.zones[source].external:
            yield f"{sides}-j outside"
        for item in items:
            comment = f"-m comment --comment {item.id} "
            status = "-m conntrack --ctstate DNAT " if item.public else ""
            for come, go, what in product(self._nets(item.source), self._nets(item.destination), self._what(item.traffic)):
                ends = (f"-s {come} " if come else "") + (f"-d {go} " if go else "")
                match = f"{sides}{ends}{what} {status}"
                if item.rate:
                    yield match + self._over(f"rate_{key(item.id)}{self.version}", item.rate)
                if item.connections:
                    yield match + self._open(f"open_{key(item.id)}{self.version}", item.connections)
                if item.log:
                    yield f'{match}-m limit --limit 10/sec -j NFLOG --nflog-group {self.policy.settings.logging.group} --nflog-prefix "{PREFIX}{item.log} "'
                yield f"{match}{comment}-j ACCEPT"

    def _what(self, traffic: Iterable[Traffic]) -> Iterator[str]:
        for one in traffic:
            if one.proto in {TCP, UDP}:
                ports = str(one.low) if one.low == one.high else f"{one.low}:{one.high}"
                yield f"-p {PROTOCOL_NAMES[one.proto]} --dport {ports}"
            elif one.proto in {ICMP, ICMP6}:
                if one.version == self.version:
                    yield f"-p {self.icmp} {self.type_option} {one.low}"
            else:
                yield f"-p {one.proto}"

    def _nat(self) -> Iterator[str]:
        yield from ("*nat", ":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]")
        for item in self.policy.allowed:
            for net in item.public:
                if net.version == self.version and item.destination.networks:
                    target = item.destination.networks[0].network_address
                    for a, come, what in product(
                        self.policy.zones[item.source.zone].interfaces, self._nets(item.source), self._what(item.traffic)
                    ):
                        source = f"-s {come} " if come else ""
                        yield f"-A PREROUTING -i {a} {source}-d {net} {what} -m comment --comment {item.id} -j DNAT --to-destination {target}"
        if self.version == 4:  # noqa: PLR2004 - IPv6 hosts keep their addresses
            yield from self._sources()
        yield "COMMIT"

    def _sources(self) -> Iterator[str]:
        # iptables knows no incoming interface after routing, so the side is told by its addresses, which the entry checks have proved honest.
        for item in sorted(self.policy.translations, key=lambda item: item.source.networks is None):
            nets = item.source.networks or tuple(ip_network(text) for text in self.policy.zones[item.source.zone].prefixes)
            action = f"SNAT --to-source {item.address}" if item.address else "MASQUERADE"
            for b, net in product(self.policy.zones[item.to].interfaces, [net for net in nets if net.version == 4]):  # noqa: PLR2004 - IP version 4
                yield f"-A POSTROUTING -o {b} -s {net} -j {action}"
