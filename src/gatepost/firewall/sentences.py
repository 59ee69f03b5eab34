"""Sets of packets in sentences: who may begin a connection to whom, for what.

What it does: looks at what a rule set passes, groups interfaces that are treated alike, and says in words which services and addresses are left.
Not its job: judging (`findings`), single packets (`words`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from typing import Any

from gatepost.firewall.catalogue import OPENING, OPENING_MASK, bogons, collapse
from gatepost.firewall.formula import (
    ICMP,
    ICMP6,
    PORT_PROTOCOLS,
    PROTOCOL_NAMES,
    TCP,
    Field,
    Formula,
    Name,
    Not,
    both,
    either,
    equal,
    flags,
    state,
)
from gatepost.firewall.ruleset import PATHS, Chain, Ruleset, Verdict
from gatepost.firewall.solve import Piece, Solver, image
from gatepost.firewall.space import Set, Space, names_in
from gatepost.firewall.words import few, listing, service

DETAIL = 24
"""With more separate ranges of ports than this, addresses are told for all of them together."""
TOP_PORT = 65535
_UNTOLD = (Field.FLAGS, Field.SPORT, Field.FRAGMENT, Field.HELPER, Field.TRANSLATED, Field.STATE)


@dataclass(frozen=True, slots=True)
class Group:
    """Interfaces that are treated alike, and the packets that pass between them. "" is any interface that no rule names."""

    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    packets: Set


class View:
    """What one rule set does in one IP version. `shared` gives two views the same space, so that their sets can be compared."""

    def __init__(self, ruleset: Ruleset, version: int, shared: Space | None = None, known: Known | None = None) -> None:
        """Solve all three paths. `known` are sets of addresses that have a name.

        `admitted` are networks that look impossible outside and are not, here.
        """
        self.ruleset, self.version, self.known = ruleset, version, known or {}
        self.space = shared or Space(version, names_in(names_of([ruleset])))
        self.solver = Solver(ruleset, self.space)
        self.pieces: dict[str, list[Piece]] = {path: self.solver.passing(path, self.start(path)) for path in PATHS}
        self.passes = {path: self.space.union(piece.packets for piece in pieces) for path, pieces in self.pieces.items()}
        self.admitted: frozenset[str] = frozenset()
        self._new: dict[str, Set] = {}

    def start(self, path: str) -> Set:
        """What can arrive on a path: the sides that packets have there, nothing translated yet."""
        space = self.space
        begin = space.of(either([Not(state("new")), both(equal(Field.TRANSLATED, 0), equal(Field.HELPER, 0))]))
        if path == "input":
            begin &= space.range(Field.OIF, 0, 0)
        elif path == "output":
            begin &= space.range(Field.IIF, 0, 0)
        else:
            begin &= ~space.of(either([Name(Field.IIF, "lo"), Name(Field.OIF, "lo")]))
        return begin & space.possible

    def deciding(self, path: str) -> list[Chain]:
        """The filter chains of a path's own hook that see this IP version."""
        other = "ip6" if self.version == 4 else "ip"  # noqa: PLR2004 - IP version 4
        return [chain for chain in self.ruleset.base(path) if chain.hook == path and chain.kind == "filter" and chain.family != other]

    def falls_through(self, path: str) -> bool:
        """Whether new connections that no rule names pass a path, by the policies of its chains."""
        chains = self.deciding(path)
        rests = (self.solver.falling.get(chain.key, self.space.none) & self.opening() for chain in chains)
        return bool(chains) and all(
            rest != self.space.none and chain.policy is Verdict.ACCEPT for rest, chain in zip(rests, chains, strict=True)
        )

    def opening(self) -> Set:
        """Packets that properly begin a connection."""
        proper = either([Not(equal(Field.PROTO, TCP)), flags(OPENING_MASK, OPENING)])
        return self.space.of(both(state("new"), equal(Field.FRAGMENT, 0), proper))

    def new(self, path: str) -> Set:
        """The new connections that may pass on a path, with what does not matter to people forgotten."""
        if path not in self._new:
            found = self.space.without_unknown(self.passes[path] & self.opening(), surely=False)
            self._new[path] = self.space.forget(found, *_UNTOLD)
        return self._new[path]

    def translated_new(self) -> Set:
        """The new connections through the host as they look after destination translation."""
        pieces = (Piece(piece.packets & self.opening(), piece.rewrite) for piece in self.pieces["forward"])
        found = self.space.without_unknown(self.space.union(image(self.space, piece) for piece in pieces), surely=False)
        return self.space.forget(found, *_UNTOLD)

    def everything(self, path: str) -> Set:
        """All new connections that could be tried on a path, in the same form."""
        found = self.start(path) & self.opening()
        return self.space.forget(found, *_UNTOLD)


def names_of(rulesets: Iterable[Ruleset]) -> list[Formula]:
    """The tests of all rules, and the loopback interface, which people always ask about."""
    tests: list[Formula] = [rule.test for ruleset in rulesets for rule in ruleset.rules()]
    return [*tests, Name(Field.IIF, "lo")]


def groups(view: View, path: str, packets: Set) -> list[Group]:
    """Split a set by interfaces, and join the interfaces that are treated alike."""
    space = view.space
    if packets == space.none:
        return []
    incoming = range(len(space.names[Field.IIF])) if path != "output" else range(1)
    outgoing = range(len(space.names[Field.OIF])) if path != "input" else range(1)
    rows: dict[tuple[Set, ...], list[str]] = {}
    for i in incoming:
        part = space.fix(packets, Field.IIF, i)
        if part != space.none:
            rows.setdefault(tuple(space.fix(part, Field.OIF, o) for o in outgoing), []).append(space.names[Field.IIF][i])
    result = []
    for row, sources in rows.items():
        columns: dict[Set, list[str]] = {}
        for o, part in zip(outgoing, row, strict=True):
            if part != space.none:
                columns.setdefault(part, []).append(space.names[Field.OIF][o])
        result += [Group(tuple(sources), tuple(targets), part) for part, targets in columns.items()]
    return result


def interfaces_text(view: View, names: Iterable[str], zones: dict[str, str]) -> str:
    """Interfaces in words: by zone where the site names one."""
    found = list(names)
    every = set(view.space.names[Field.IIF])
    if set(found) >= every - {"lo"}:
        return "any interface"
    told = []
    for name in found:
        if name == "":
            told.append("any interface not named in the rules")
        elif name.endswith("*"):
            told.append(f"any other {name}")
        else:
            told.append(f"{zones[name]} ({name})" if name in zones else name)
    return listing(told, "or")


Ranges = tuple[tuple[int, int], ...]
Known = Mapping[tuple[int, Ranges], str]
"""Sets of addresses that have a name of their own, by IP version."""


def ranges_text(ranges: list[tuple[int, int]], version: int, known: Known) -> str:
    """Addresses in words: "" for all of them, a known name, networks, or all but some."""
    top = (1 << (32 if version == 4 else 128)) - 1  # noqa: PLR2004 - bits of an address
    if ranges == [(0, top)]:
        return ""
    if (version, tuple(ranges)) in known:
        return known[(version, tuple(ranges))]
    holes = _complement(ranges, top)
    if _only_public(ranges, holes, version):
        return "any public address"
    if len(holes) < len(ranges) or (len(holes) == 1 and len(ranges) == 2):  # noqa: PLR2004 - everything but one stretch in the middle
        return "any address but " + few(_networks(holes, version, known), 4)
    return few(_networks(ranges, version, known), 4)


def _only_public(ranges: list[tuple[int, int]], holes: list[tuple[int, int]], version: int) -> bool:
    """Only reserved and private networks are missing, and most of them are."""
    if version != 4 or len(holes) < 4:  # noqa: PLR2004 - IPv4 has a dozen reserved networks; fewer are better told by name
        return False
    reserved = [(int(net.network_address), int(net.broadcast_address)) for net in collapse(bogons(4))]
    return all(any(low <= first and last <= high for low, high in reserved) for first, last in holes) and len(ranges) > 3  # noqa: PLR2004


def _complement(ranges: list[tuple[int, int]], top: int) -> list[tuple[int, int]]:
    found, at = [], 0
    for low, high in ranges:
        if low > at:
            found.append((at, low - 1))
        at = high + 1
    return [*found, (at, top)] if at <= top else found


def _networks(ranges: list[tuple[int, int]], version: int, known: Known) -> list[str]:
    kind = IPv4Address if version == 4 else IPv6Address  # noqa: PLR2004 - IP version 4
    texts = []
    for low, high in ranges:
        if name := known.get((version, ((low, high),))):
            texts.append(name)
            continue
        nets: list[Any] = list(summarize_address_range(kind(low), kind(high)))
        if len(nets) > 3:  # noqa: PLR2004 - a longer list reads worse than its ends
            texts.append(f"{kind(low)} to {kind(high)}")
        else:
            texts += [str(net.network_address) if net.num_addresses == 1 else str(net) for net in nets]
    return texts


def services(view: View, packets: Set) -> Iterator[str]:
    """What a set of packets is about, as short sentences: services, then to and from which addresses."""
    space = view.space
    if packets == space.fix(space.fix(view.everything("input"), Field.IIF, 0), Field.OIF, 0):
        yield "everything"
        return
    protocols = space.values(packets, Field.PROTO)
    rest = [(low, high) for low, high in protocols if high - low > 2]  # noqa: PLR2004 - a stretch nobody would list
    for low, high in protocols:
        if (low, high) in rest:
            continue
        for proto in range(low, high + 1):
            yield from _protocol(view, proto, space.fix(packets, Field.PROTO, proto))
    if rest:
        yield from _many(view, packets, rest)


def _many(view: View, packets: Set, spans: list[tuple[int, int]]) -> Iterator[str]:
    """Long stretches of protocols: those with ports one by one where they differ, the others together."""
    space = view.space
    inside = space.union(space.range(Field.PROTO, low, high) for low, high in spans)
    parts = {proto: space.fix(packets, Field.PROTO, proto) for proto in (TCP, 17, ICMP if view.version == 4 else ICMP6)}  # noqa: PLR2004
    here = {proto: part for proto, part in parts.items() if any(low <= proto <= high for low, high in spans)}
    where = _addresses(view, packets & inside)
    if all(_whole(space, proto, part) for proto, part in here.items()):
        yield f"every protocol{where}"
        return
    for proto, part in here.items():
        yield from _protocol(view, proto, part)
    yield f"every other protocol{where}"


def _whole(space: Space, proto: int, part: Set) -> bool:
    top = TOP_PORT if proto in PORT_PROTOCOLS else 255
    return space.values(part, Field.DPORT) == [(0, top)]


def _protocol(view: View, proto: int, packets: Set) -> Iterator[str]:
    space = view.space
    ranges = space.values(packets, Field.DPORT)
    if not ranges:
        return
    if _whole(space, proto, packets) or proto not in (*PORT_PROTOCOLS, ICMP, ICMP6):
        name = PROTOCOL_NAMES.get(proto, f"protocol {proto}")
        yield f"any {name}{' port' if proto in PORT_PROTOCOLS else ''}{_addresses(view, packets)}"
        return
    if len(ranges) > DETAIL:
        yield f"{few([_span(proto, *pair) for pair in ranges], 8)}{_addresses(view, packets)}"
        return
    told: dict[str, list[str]] = {}
    for low, high in ranges:
        part = packets & space.range(Field.DPORT, low, high)
        told.setdefault(_addresses(view, part), []).append(_span(proto, low, high))
    for where, names in told.items():
        yield f"{few(names, 8)}{where}"


def _span(proto: int, low: int, high: int) -> str:
    return service(proto, low) if low == high else f"{PROTOCOL_NAMES.get(proto, proto)}/{low}-{high}"


def _addresses(view: View, packets: Set) -> str:
    target = ranges_text(view.space.values(packets, Field.DST), view.version, view.known)
    source = ranges_text(view.space.values(packets, Field.SRC), view.version, view.known)
    return (f" to {target}" if target else "") + (f" from {source}" if source else "")


def sentences(view: View, path: str, packets: Set, zones: dict[str, str], most: int = 40) -> Iterator[str]:
    """A set of new connections, a sentence for each group of interfaces, at most so many."""
    found = groups(view, path, packets)
    yield from (_sentence(view, path, group, zones) for group in found[:most])
    if len(found) > most:
        yield f"and {len(found) - most} more pairs of interfaces"


def _sentence(view: View, path: str, group: Group, zones: dict[str, str]) -> str:
    what = "; ".join(dict.fromkeys(services(view, group.packets)))
    come, go = (interfaces_text(view, names, zones) for names in (group.incoming, group.outgoing))
    match path:
        case "forward":
            return f"from {come} to {go}: {what}"
        case "input":
            return f"from {come}: {what}"
        case _:
            return f"to {go}: {what}"
