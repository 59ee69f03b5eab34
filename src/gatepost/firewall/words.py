"""Packets, services and sets in plain English.

What it does: the words that all outputs of the firewall share.
Not its job: deciding anything.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from gatepost.firewall.catalogue import ICMP6_TYPES, ICMP_TYPES, SERVICES
from gatepost.firewall.formula import FLAG_BITS, ICMP, ICMP6, PORT_PROTOCOLS, PROTOCOL_NAMES, TCP, UDP, Packet

_NAMES4 = {number: name for name, number in ICMP_TYPES.items()}
_NAMES6 = {number: name for name, number in ICMP6_TYPES.items()}
WELL_KNOWN = {
    (proto, pair[0]): name
    for name, service in reversed(SERVICES.items())
    for proto, ranges in ((TCP, service.tcp), (UDP, service.udp))
    for pair in ranges
    if pair[0] == pair[1]
}
_STATES = {
    "new": "begins a connection",
    "established": "belongs to a known connection",
    "related": "is related to a known connection",
    "invalid": "belongs to no connection",
    "untracked": "is not tracked",
}


def address(number: int, version: int) -> str:
    """An address as people write it."""
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))  # noqa: PLR2004 - IP version 4


def service(proto: int, port: int) -> str:
    """`smtp (tcp/25)`, `tcp/31337`, `ping`, `protocol 47 (gre)`."""
    if proto in {ICMP, ICMP6}:
        names = _NAMES4 if proto == ICMP else _NAMES6
        return f"{PROTOCOL_NAMES[proto]} {names.get(port, f'type {port}')}"
    name = PROTOCOL_NAMES.get(proto, f"protocol {proto}")
    if proto not in PORT_PROTOCOLS:
        return name
    known = WELL_KNOWN.get((proto, port))
    return f"{known} ({name}/{port})" if known else f"{name}/{port}"


def flag_names(value: int) -> str:
    """`syn+ack`, or `none`."""
    return "+".join(name for name, bit in FLAG_BITS.items() if value & bit) or "none"


def packet_text(packet: Packet) -> str:
    """One packet as one line that an administrator can read."""
    v = packet.family
    source, target = address(packet.src, v), address(packet.dst, v)
    if packet.proto in PORT_PROTOCOLS:
        source, target = (f"[{x}]" if v == 6 else x for x in (source, target))  # noqa: PLR2004 - IP version 6
        source, target = f"{source}:{packet.sport}", f"{target}:{packet.dport}"
    parts = [f"{service(packet.proto, packet.dport)} from {source} to {target}"]
    if packet.iif:
        parts.append(f"in {packet.iif}")
    if packet.oif:
        parts.append(f"out {packet.oif}")
    parts.append(_STATES[packet.state])
    if packet.proto == TCP and packet.flags != FLAG_BITS["syn"]:
        parts.append(f"TCP flags {flag_names(packet.flags)}")
    if packet.fragment:
        parts.append("a fragment")
    if packet.helper:
        parts.append(f"followed by the {packet.helper} helper")
    if packet.holds:
        parts.append("when " + " and ".join(sorted(packet.holds)))
    return ", ".join(parts)


def listing(items: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else "nothing"


def few(items: list[str], most: int = 6) -> str:
    """All items, or the first of them and how many more there are."""
    if len(items) <= most:
        return listing(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"
