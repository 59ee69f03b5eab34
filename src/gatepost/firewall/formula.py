"""What a rule asks of a packet, as a formula; and the packet it is asked of.

What it does: names the fields of a packet, the tests on them, and says whether one packet meets a formula. Both readers of rule sets
and the declared intent are written in these formulas; `space` turns the same formulas into decision diagrams.
Not its job: the order of rules (`ruleset`), sets of packets (`space`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network


class Field(StrEnum):
    """The fields by which a packet filter tells packets apart."""

    IIF = "iif"
    OIF = "oif"
    STATE = "state"
    TRANSLATED = "translated"
    HELPER = "helper"
    FAMILY = "family"
    PROTO = "proto"
    SRC = "src"
    DST = "dst"
    SPORT = "sport"
    DPORT = "dport"
    FLAGS = "flags"
    FRAGMENT = "fragment"


STATES = ("new", "established", "related", "invalid", "untracked")
FLAG_BITS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
PORT_PROTOCOLS = (TCP, UDP, 33, 132, 136)
PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "ipencap": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ospf": 89,
    "pim": 103,
    "comp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items() if name not in {"ipencap", "ipv6-icmp"}}


@dataclass(frozen=True, slots=True)
class Range:
    """The field's number lies between `low` and `high`, both included."""

    field: Field
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Bits:
    """The field's number, masked, is `value`."""

    field: Field
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """An interface or helper by name; a trailing `*` stands for any rest."""

    field: Field
    pattern: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that no header decides, or that the reader does not know: free to be true or false. `text` is its identity."""

    text: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; with no part, true."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One part holds; with no part, false."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Formula


Formula = Range | Bits | Name | Unknown | And | Or | Not
TRUE = And(())
FALSE = Or(())


def both(*parts: Formula) -> Formula:
    """The conjunction, without needless layers."""
    kept: list[Formula] = []
    for part in parts:
        if isinstance(part, And):
            kept += part.parts
        else:
            kept.append(part)
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def either(parts: Iterable[Formula]) -> Formula:
    """The disjunction, without needless layers."""
    kept = tuple(parts)
    return kept[0] if len(kept) == 1 else Or(kept)


def equal(which: Field, value: int) -> Formula:
    """The field's number is `value`."""
    return Range(which, value, value)


def state(*names: str) -> Formula:
    """The connection is in one of these states."""
    return either(equal(Field.STATE, STATES.index(name)) for name in names)


def family(version: int) -> Formula:
    """The packet is IPv4 (4) or IPv6 (6)."""
    return equal(Field.FAMILY, version)


def network(which: Field, net: IPv4Network | IPv6Network | str) -> Formula:
    """The address lies in this network or is this address; the family follows from it."""
    if isinstance(net, str):
        net = ip_network(net, strict=False)
    low = int(net.network_address)
    return both(family(net.version), Range(which, low, low | ((1 << (net.max_prefixlen - net.prefixlen)) - 1)))


def ports(which: Field, low: int, high: int, protocols: Iterable[int] = PORT_PROTOCOLS) -> Formula:
    """The port lies in the range, in one of these protocols."""
    return both(either(equal(Field.PROTO, number) for number in protocols), Range(which, low, high))


def icmp_type(version: int, number: int) -> Formula:
    """An ICMP or ICMPv6 message of this type. The type is kept where other protocols have the destination port."""
    return both(family(version), equal(Field.PROTO, ICMP if version == 4 else ICMP6), equal(Field.DPORT, number))  # noqa: PLR2004 - IP version 4


def flags(mask: int, value: int) -> Formula:
    """A TCP packet whose flags, masked, are `value`."""
    return both(equal(Field.PROTO, TCP), Bits(Field.FLAGS, mask, value))


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as the filter sees it. Addresses are numbers; for ICMP the type is in `dport` and the code in `sport`.

    `holds` names the undecided conditions (`Unknown`) that are taken to be true for this packet.
    """

    iif: str = ""
    oif: str = ""
    state: str = "new"
    translated: bool = False
    helper: str = ""
    family: int = 4
    proto: int = TCP
    src: int = 0
    dst: int = 0
    sport: int = 0
    dport: int = 0
    flags: int = 0
    fragment: bool = False
    holds: frozenset[str] = field(default=frozenset())

    def number(self, which: Field) -> int:
        """The numeric value of a field that has one."""
        if which is Field.STATE:
            return STATES.index(self.state)
        return int(getattr(self, which.value))


def matches_name(pattern: str, name: str) -> bool:
    """`eth*` names every interface that begins with eth; without a star the name must be the same."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def holds(formula: Formula, packet: Packet) -> bool:  # noqa: PLR0911 - one return for each kind of formula
    """Whether the packet meets the formula."""
    match formula:
        case Range(which, low, high):
            return low <= packet.number(which) <= high
        case Bits(which, mask, value):
            return packet.number(which) & mask == value
        case Name(which, pattern):
            return matches_name(pattern, getattr(packet, which.value))
        case Unknown(text):
            return text in packet.holds
        case And(parts):
            return all(holds(part, packet) for part in parts)
        case Or(parts):
            return any(holds(part, packet) for part in parts)
        case Not(part):
            return not holds(part, packet)


def leaves(formula: Formula) -> Iterator[Range | Bits | Name | Unknown]:
    """All tests in a formula."""
    pending: list[Formula] = [formula]
    while pending:
        item = pending.pop()
        match item:
            case And(parts) | Or(parts):
                pending.extend(parts)
            case Not(part):
                pending.append(part)
            case _:
                yield item
