"""What the firewall's rules have logged: a line of text or the packet itself, as the same `Entry`.

What it does: reads log lines as the kernel, ulogd2 and journald write them (SRC=, DST=, PROTO= ...), and packets as NFLOG gives them.
Not its job: collecting logs (`gatepost.system.nflog`), counting them (`attempts`), explaining them (`why`).
Raises: `LogError` for what is not ours or no packet.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from gatepost.firewall.compile import PREFIX
from gatepost.firewall.formula import ICMP, ICMP6, PORT_PROTOCOLS, PROTOCOL_NAMES

_FIELD = re.compile(r"\b([A-Z]+)=(\S*)")
EVENTS = {"refused": "refused", "malformed": "attack", "spoofed": "attack", "flooding": "flood", "banned": "scan"}
_FIXED6, _FRAGMENT = 40, 44
_BEFORE = (0, 43, 60)
"""IPv6 extension headers that stand before the protocol (RFC 8200 4.1): hop-by-hop, routing, destination options."""


class LogError(Exception):
    """A line or packet that Gatepost's rules have not logged."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One logged packet. `kind` is what the rule says (refused, spoofed ...), or the prefix of a logged flow.

    `port` is the destination port, or the type of an ICMP message; `sport` the source port, or the identifier of an ICMP echo.
    """

    kind: str
    zone: str
    incoming: str
    outgoing: str
    source: str
    target: str
    proto: str
    port: int
    sport: int = 0

    @property
    def event(self) -> str:
        """What kind of event it is: attack, flood, scan, refused, or access (a flow that is logged)."""
        return EVENTS.get(self.kind, "access")


def _kind(prefix: str) -> tuple[str, str]:
    """What the rule's prefix says: the kind, and the zone where it names one."""
    _, found, rest = prefix.partition(PREFIX)
    if not found:
        raise LogError(f'this is not a line of Gatepost\'s: it has no "{PREFIX}" in it')
    kind, _, zone = rest.strip().partition(":")
    return kind, zone


def read_line(line: str) -> Entry:
    """Read one line of a log."""
    head, _, rest = line.partition("IN=")
    kind, zone = _kind(head)
    fields = dict(_FIELD.findall("IN=" + rest))
    # The IP header has an ID too, but an ICMP message's stands behind it.
    own = ("TYPE", "ID") if "TYPE" in fields else ("DPT", "SPT")
    port, sport = (int(fields.get(name) or 0) for name in own)
    source, target, proto = fields.get("SRC", ""), fields.get("DST", ""), fields.get("PROTO", "").lower()
    return Entry(kind, zone, fields.get("IN", ""), fields.get("OUT", ""), source, target, proto, port, sport)


def read_packet(prefix: str, incoming: str, outgoing: str, content: bytes) -> Entry:
    """Read one packet, from its IP header on; a packet that is cut short has port 0."""
    kind, zone = _kind(prefix)
    try:
        version = content[0] >> 4
        source, target, proto, rest = _version4(content) if version == 4 else _version6(content)  # noqa: PLR2004 - IP version 4
    except (IndexError, ValueError, struct.error):
        raise LogError("the logged packet has no whole IP header") from None
    sport, port = _ports(proto, rest)
    return Entry(kind, zone, incoming, outgoing, source, target, PROTOCOL_NAMES.get(proto, str(proto)), port, sport)


def _version4(content: bytes) -> tuple[str, str, int, bytes]:
    """RFC 791 3.1. Later fragments have no ports."""
    late = struct.unpack_from("!H", content, 6)[0] & 0x1FFF
    rest = b"" if late else content[(content[0] & 15) * 4 :]
    return str(IPv4Address(content[12:16])), str(IPv4Address(content[16:20])), content[9], rest


def _version6(content: bytes) -> tuple[str, str, int, bytes]:
    """RFC 8200 3 and 4."""
    proto, rest = content[6], content[_FIXED6:]
    while proto in _BEFORE and len(rest) > 1:
        proto, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    if proto == _FRAGMENT and rest:
        proto, rest = rest[0], b""
    return str(IPv6Address(content[8:24])), str(IPv6Address(content[24:40])), proto, rest


def _ports(proto: int, rest: bytes) -> tuple[int, int]:
    if proto in PORT_PROTOCOLS and len(rest) >= 4:  # noqa: PLR2004 - two ports
        return struct.unpack_from("!HH", rest)
    if proto in {ICMP, ICMP6} and rest:
        echo = int.from_bytes(rest[4:6], "big") if rest[0] in {8, 128} else 0
        return echo, rest[0]
    return 0, 0
