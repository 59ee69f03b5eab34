"""From the declared site to a policy in which every name is resolved, or the list of everything that is wrong.

What it does: resolves zones, hosts and services; refuses references to nothing, hosts outside their zone, zones that share interfaces or
addresses, flows that repeat each other, published addresses that cannot work; leaves out what has expired.
Not its job: rules. It does no I/O and reads no clock: the day is an argument.
Raises: `DeclarationError`, with all problems at once, each with its path in the site file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from ipaddress import ip_network as parse_network

from gatepost.firewall.catalogue import ICMP6_TYPES, ICMP_TYPES, SERVICES, IPNetwork, collapse
from gatepost.firewall.formula import ICMP, ICMP6, TCP, UDP
from gatepost.site.model import Site
from gatepost.site.network import FIREWALL, Admin, Firewall, Flow, Publish, Service, Zone

Path = tuple[str | int, ...]

ip_network = lru_cache(maxsize=None)(parse_network)
"""Thousands of flows name the same few networks."""


Found = tuple[Path, str, str]
"""Where (key path in the site file), what is wrong, what to do."""


class DeclarationError(Exception):
    """The network as declared cannot be compiled."""

    def __init__(self, problems: list[Found]) -> None:
        """Keep every problem."""
        super().__init__("\n".join(f"{'.'.join(map(str, path))}: {what}" for path, what, _ in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Traffic:
    """One protocol with a range of ports, or one type of ICMP message (low = high = type). `version` 0 is both IP versions."""

    service: str
    proto: int
    low: int = 0
    high: int = 65535
    version: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow: a zone, and the networks within it; None is the whole zone. The firewall itself has the zone "firewall"."""

    name: str
    zone: str
    networks: tuple[IPNetwork, ...] | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """One declared permission, resolved to one pair of ends. `public` holds the addresses under which it is offered by translation.

    `offered` is true for every part of a published service, translated or not. What is `on_request` passes only while it is opened.
    """

    id: str
    reason: str
    owner: str
    source: End
    destination: End
    traffic: tuple[Traffic, ...]
    expires: dt.date | None = None
    log: str = ""
    rate: tuple[int, str] | None = None
    connections: int = 0
    helper: str = ""
    public: tuple[IPNetwork, ...] = ()
    offered: bool = False
    on_request: bool = False

    @property
    def plain(self) -> bool:
        """True when nothing but accepting is asked for."""
        return not (self.log or self.rate or self.connections or self.helper or self.on_request)


@dataclass(frozen=True, slots=True)
class Translation:
    """Source translation; `address` None is the outgoing interface's own."""

    source: End
    to: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """The network policy with every name resolved. `expired` are permissions that are declared but no longer in force."""

    name: str
    zones: dict[str, Zone]
    allowed: tuple[Allowed, ...]
    translations: tuple[Translation, ...]
    settings: Firewall
    own: tuple[IPNetwork, ...]
    expired: tuple[str, ...] = ()
    roles: tuple[tuple[str, End], ...] = ()
    hosts: tuple[tuple[str, End], ...] = ()
    services: tuple[tuple[str, Service], ...] = ()

    def pairs(self) -> dict[tuple[str, str], list[Allowed]]:
        """The permissions by source and destination zone."""
        found: dict[tuple[str, str], list[Allowed]] = {}
        for item in self.allowed:
            found.setdefault((item.source.zone, item.destination.zone), []).append(item)
        return found

    def inside(self, version: int) -> list[IPNetwork]:
        """All networks of our own zones, of one IP version."""
        texts = [text for zone in self.zones.values() for text in zone.prefixes]
        return collapse([net for net in map(ip_network, texts) if net.version == version])


def declare(site: Site, today: dt.date) -> Policy:
    """Resolve the network side of a site. `today` decides what has expired."""
    return _Declaration(site, today).policy()


def parse_rate(text: str | None) -> tuple[int, str] | None:
    """`20/second` as a number and a unit of time."""
    if text is None:
        return None
    count, _, per = text.partition("/")
    return int(count), per


class _Declaration:
    """Collects problems while it resolves."""

    def __init__(self, site: Site, today: dt.date) -> None:
        self.site = site
        self.today = today
        self.problems: list[Found] = []
        self.services = SERVICES | site.services
        self.expired: list[str] = []
        self.places: dict[str, Path] = {}

    def policy(self) -> Policy:
        site = self.site
        self._check_zones()
        self._check_hosts()
        allowed = list(self._permissions())
        translations = tuple(self._translations())
        self._check_overlaps(allowed)
        if self.problems:
            raise DeclarationError(self.problems)
        return Policy(
            name=site.site.name,
            zones=dict(site.zones),
            allowed=tuple(allowed),
            translations=translations,
            settings=site.firewall,
            own=self._own(),
            expired=tuple(self.expired),
            roles=tuple((host.role, self._host(name)) for name, host in site.hosts.items() if host.role),
            hosts=tuple((name, self._host(name)) for name in site.hosts),
            services=tuple(self.services.items()),
        )

    def wrong(self, path: Path, message: str) -> None:
        what, _, remedy = message.partition("; ")
        self.problems.append((path, what, remedy))

    def _own(self) -> tuple[IPNetwork, ...]:
        """The firewall's own addresses: its gateways, and the public addresses it translates."""
        theirs = {address for host in self.site.hosts.values() for address in host.addresses}
        texts = [text for zone in self.site.zones.values() for text in zone.gateway]
        texts += [text for item in self.site.publish for text in item.addresses if text not in theirs]
        return tuple(dict.fromkeys(ip_network(text) for text in texts))

    def _check_zones(self) -> None:
        users: dict[str, str] = {}
        for name, zone in self.site.zones.items():
            path: Path = ("zones", name)
            self._check_zone(path, name, zone)
            for interface in zone.interfaces:
                if interface in users:
                    self.wrong((*path, "interfaces"), f"interface {interface} already belongs to zone {users[interface]}")
                users[interface] = name

    def _check_zone(self, path: Path, name: str, zone: Zone) -> None:
        if name == FIREWALL:
            self.wrong(path, 'the name "firewall" is kept for the firewall host itself; choose another')
        if not zone.interfaces:
            self.wrong(path, "has no interface; add interfaces = [...]")
        if zone.external == bool(zone.prefixes):
            text = "is external, so it must have no prefixes" if zone.external else "has no prefixes; list its networks, or set external"
            self.wrong(path, text)
        for text in zone.gateway:
            if not zone.external and not any(_within(ip_network(text), ip_network(prefix)) for prefix in zone.prefixes):
                self.wrong((*path, "gateway"), f"{text} is not in the networks of {name}: are two interfaces swapped?")

    def _check_hosts(self) -> None:
        for name, host in self.site.hosts.items():
            path: Path = ("hosts", name)
            zone = self.site.zones.get(host.zone)
            if name in self.site.zones or name == FIREWALL:
                self.wrong(path, f"{name} is also the name of a zone; flows could not tell them apart")
            if zone is None:
                self.wrong((*path, "zone"), f"zone {host.zone} is not declared")
                continue
            for text in host.addresses:
                home = [z for z, other in self.site.zones.items() if any(_within(ip_network(text), ip_network(p)) for p in other.prefixes)]
                if (zone.external and home) or (not zone.external and home != [host.zone]):
                    where = f"lies in zone {home[0]}" if home else f"lies in no network of zone {host.zone}"
                    self.wrong((*path, "addresses"), f"{text} {where}: are two interfaces swapped?")

    def _host(self, name: str) -> End:
        host = self.site.hosts[name]
        return End(name, host.zone, tuple(ip_network(text) for text in host.addresses))

    def _end(self, name: str, path: Path) -> End | None:
        if name == FIREWALL:
            return End(name, FIREWALL)
        if name in self.site.zones:
            return End(name, name)
        if name in self.site.hosts and self.site.hosts[name].zone in self.site.zones:
            return self._host(name)
        self.wrong(path, f'"{name}" is neither a zone nor a host nor "firewall"')
        return None

    def _ends(self, names: tuple[str, ...], path: Path) -> list[End]:
        return [end for end in (self._end(name, path) for name in names) if end]

    def _traffic(self, names: tuple[str, ...], path: Path) -> tuple[Traffic, ...]:
        found: list[Traffic] = []
        for name in names:
            service = self.services.get(name)
            if service is None:
                self.wrong(path, f'service "{name}" is not in the catalogue; declare it under [services.{name}]')
            else:
                found += self._service(name, service, path)
        return tuple(dict.fromkeys(found))

    def _service(self, name: str, service: Service, path: Path) -> Iterator[Traffic]:
        for proto, ranges in ((TCP, service.tcp), (UDP, service.udp)):
            for pair in ranges:
                yield Traffic(name, proto, *pair)
        for version, proto, names, types in ((4, ICMP, service.icmp, ICMP_TYPES), (6, ICMP6, service.icmpv6, ICMP6_TYPES)):
            for message in names:
                if message not in types:
                    self.wrong(path, f'service {name}: no ICMP message is called "{message}"')
                else:
                    yield Traffic(name, proto, types[message], types[message], version)
        for number in service.protocols:
            yield Traffic(name, number)

    def _in_force(self, item: Flow | Publish) -> bool:
        if item.expires is None or item.expires >= self.today:
            return True
        self.expired.append(item.id)
        return False

    def _permissions(self) -> Iterator[Allowed]:
        lists: tuple[tuple[Path, tuple[Flow | Publish, ...]], ...] = (
            (("flows",), self.site.flows),
            (("publish",), self.site.publish),
            (("firewall", "admin"), self.site.firewall.admin),
        )
        for place, items in lists:
            for index, item in enumerate(items):
                path = (*place, index)
                if item.id in self.places:
                    self.wrong((*path, "id"), f'the id "{item.id}" is used twice')
                self.places[item.id] = path
                found = self._published(item, path) if isinstance(item, Publish) else self._flow(item, path)
                if self._in_force(item):
                    yield from found

    def _flow(self, flow: Flow, path: Path) -> list[Allowed]:
        sources = self._ends(flow.sources, (*path, "from"))
        destinations = self._ends(flow.destinations, (*path, "to"))
        traffic = self._traffic(flow.services, (*path, "services"))
        if path[0] == "firewall" and any(end.zone != FIREWALL for end in destinations):
            self.wrong((*path, "to"), 'administrators\' access goes to "firewall"; other flows belong under [[flows]]')
        if isinstance(flow, Admin) and flow.on_request and not all(end.networks for end in sources):
            self.wrong(
                (*path, "from"), "what is opened on request is opened for named hosts, not for whole zones: name the administrator's"
            )
        if flow.helper and "ftp" not in flow.services:
            self.wrong((*path, "helper"), "the ftp helper follows FTP, so the services must name ftp")
        if flow.helper and not all(end.networks for end in (*sources, *destinations)):
            self.wrong((*path, "helper"), "the ftp helper is for named hosts only, not for whole zones: name the client and the server")
        result = []
        for source in sources:
            for destination in destinations:
                if source.zone == destination.zone and (source.zone == FIREWALL or len(self.site.zones[source.zone].interfaces) < 2):  # noqa: PLR2004 - two sides
                    self.wrong(path, f"{source.name} and {destination.name} are on the same side; such traffic never meets the firewall")
                result.append(self._allowed(flow, source, destination, traffic))
        return result

    def _allowed(self, item: Flow | Publish, source: End, destination: End, traffic: tuple[Traffic, ...]) -> Allowed:
        return Allowed(
            id=item.id,
            reason=item.reason,
            owner=item.owner,
            source=source,
            destination=destination,
            traffic=traffic,
            expires=item.expires,
            log=item.log,
            rate=parse_rate(item.rate),
            connections=item.connections,
            helper=item.helper if isinstance(item, Flow) else "",
            on_request=isinstance(item, Admin) and item.on_request,
        )

    def _published(self, item: Publish, path: Path) -> list[Allowed]:
        sources = self._ends(item.sources, (*path, "from"))
        traffic = self._traffic(item.services, (*path, "services"))
        host = self.site.hosts.get(item.host)
        if host is None or host.zone not in self.site.zones:
            self.wrong((*path, "host"), f'"{item.host}" is not a declared host')
            return []
        if any(t.proto not in {TCP, UDP} for t in traffic):
            self.wrong((*path, "services"), "only TCP and UDP services can be published")
        whole = self._host(item.host)
        own = {ip_network(text) for text in host.addresses}
        public = [ip_network(text) for text in item.addresses]
        for net in public:
            if net not in own and not any(mine.version == net.version for mine in own):
                self.wrong((*path, "addresses"), f"{net.network_address}: {item.host} has no IPv{net.version} address to translate it to")
        result = []
        for source in sources:
            for net in public:
                target = (net,) if net in own else tuple(mine for mine in own if mine.version == net.version)[:1]
                base = self._allowed(item, source, End(whole.name, whole.zone, target), traffic)
                result.append(replace(base, public=() if net in own else (net,), offered=True))
        return result

    def _translations(self) -> Iterator[Translation]:
        for index, item in enumerate(self.site.translate):
            path: Path = ("translate", index)
            target = self.site.zones.get(item.to)
            if target is None:
                self.wrong((*path, "to"), f"zone {item.to} is not declared")
            if item.address and ip_address(item.address).version != 4:  # noqa: PLR2004 - IP version 4
                self.wrong((*path, "address"), "source translation is for IPv4 only; IPv6 hosts keep their addresses")
            for end in self._ends(item.sources, (*path, "from")):
                if end.zone == FIREWALL:
                    self.wrong((*path, "from"), "the firewall's own connections need no translation; leave it out")
                yield Translation(end, item.to, item.address)

    def _check_overlaps(self, allowed: list[Allowed]) -> None:
        # What is published may also be declared as a flow for one side; that is said on purpose.
        for one, other in overlapping([item for item in allowed if not item.offered]):
            self.wrong(
                (*self.places[other.id], "services"),
                f'"{other.id}" repeats what "{one.id}" already allows ({common(one, other)}); say it once',
            )


def _within(inner: IPNetwork, outer: IPNetwork) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


_Span = tuple[int, int, Allowed]


def overlapping(allowed: list[Allowed]) -> Iterator[tuple[Allowed, Allowed]]:
    """Pairs of different permissions that allow one and the same packet.

    Single addresses get a bucket of their own and the ports are swept in order, so that thousands of flows stay quick.
    """
    groups: dict[tuple[object, ...], dict[tuple[object, object], list[_Span]]] = {}
    for item in allowed:
        for traffic in item.traffic:
            group = groups.setdefault((item.source.zone, item.destination.zone, traffic.proto, item.public), {})
            for source in _buckets(item.source):
                for destination in _buckets(item.destination):
                    group.setdefault((source, destination), []).append((traffic.low, traffic.high, item))
    told: set[tuple[str, str]] = set()
    for group in groups.values():
        for key, spans in group.items():
            for one, other in _sweep(spans, _wider(group, key)):
                pair = (min(one.id, other.id), max(one.id, other.id))
                if one.id != other.id and pair not in told and _meet(one, other):
                    told.add(pair)
                    yield one, other


def _buckets(end: End) -> set[object]:
    """The single addresses of an end; None for anything wider."""
    return {net if net.num_addresses == 1 else None for net in end.networks or ()} or {None}


def _wider(group: dict[tuple[object, object], list[_Span]], key: tuple[object, object]) -> list[_Span]:
    """The spans of other buckets that can meet those of this one."""
    source, destination = key
    keys = {(None, destination), (source, None), (None, None)} - {key}
    if source is not None and destination is None:
        keys |= {other for other in group if other[0] is None}
    return [span for other in keys for span in group.get(other, ())]


def _sweep(spans: list[_Span], wide: list[_Span]) -> Iterator[tuple[Allowed, Allowed]]:
    """Pairs of spans of ports that meet, at least one of them from `spans`."""
    own = {id(span) for span in spans}
    active: list[_Span] = []
    for span in sorted([*wide, *spans], key=lambda item: item[0]):
        active = [old for old in active if old[1] >= span[0]]
        yield from ((old[2], span[2]) for old in active if id(span) in own or id(old) in own)
        active.append(span)


def _meet(one: Allowed, other: Allowed) -> bool:
    return all(_share(a, b) for a, b in ((one.source, other.source), (one.destination, other.destination)))


def _share(one: End, other: End) -> bool:
    if one.networks is None or other.networks is None:
        return True
    return any(a.version == b.version and a.overlaps(b) for a in one.networks for b in other.networks)


def common(one: Allowed, other: Allowed) -> str:
    """Which services two permissions share, in words."""
    names = {a.service for a in one.traffic for b in other.traffic if a.proto == b.proto and a.low <= b.high and b.low <= a.high}
    return f"{', '.join(sorted(names))} from {other.source.name} to {other.destination.name}"
