"""Facts of the trade that every policy needs: services by name, ICMP messages, impossible sources, TCP flags; and the undecided conditions.

What it does: names well-known numbers once, with their source.
Not its job: decisions.
Raises: nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from gatepost.firewall.formula import FLAG_BITS, Unknown
from gatepost.site.network import Service

IPNetwork = IPv4Network | IPv6Network


def _service(**parts: tuple[int | str, ...]) -> Service:
    return Service.model_validate(parts)


SERVICES: dict[str, Service] = {
    "ping": _service(icmp=("echo-request",), icmpv6=("echo-request",)),
    "ftp": _service(tcp=(21,)),
    "ssh": _service(tcp=(22,)),
    "telnet": _service(tcp=(23,)),
    "smtp": _service(tcp=(25,)),
    "dns": _service(tcp=(53,), udp=(53,)),
    "dhcp": _service(udp=("67-68",)),
    "tftp": _service(udp=(69,)),
    "http": _service(tcp=(80,)),
    "kerberos": _service(tcp=(88,), udp=(88,)),
    "pop3": _service(tcp=(110,)),
    "ntp": _service(udp=(123,)),
    "imap": _service(tcp=(143,)),
    "snmp": _service(udp=(161,)),
    "ldap": _service(tcp=(389,), udp=(389,)),
    "https": _service(tcp=(443,)),
    "http3": _service(udp=(443,)),
    "smb": _service(tcp=(445,)),
    "submissions": _service(tcp=(465,)),
    "syslog": _service(udp=(514,)),
    "submission": _service(tcp=(587,)),
    "ipp": _service(tcp=(631,)),
    "ldaps": _service(tcp=(636,)),
    "dns-over-tls": _service(tcp=(853,)),
    "rsync": _service(tcp=(873,)),
    "imaps": _service(tcp=(993,)),
    "pop3s": _service(tcp=(995,)),
    "openvpn": _service(udp=(1194,)),
    "nfs": _service(tcp=(2049,)),
    "mysql": _service(tcp=(3306,)),
    "rdp": _service(tcp=(3389,), udp=(3389,)),
    "postgresql": _service(tcp=(5432,)),
    "syslog-tls": _service(tcp=(6514,)),
    "wireguard": _service(udp=(51820,)),
    "gre": _service(protocols=(47,)),
    "esp": _service(protocols=(50,)),
    "ike": _service(udp=(500, 4500)),
}

ICMP_TYPES = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
}
ICMP6_TYPES = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "mld-listener-reduction": 132,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
}
ICMP_ERRORS = ("destination-unreachable", "time-exceeded", "parameter-problem")
"""Errors that belong to a known connection pass. Source quench is obsolete (RFC 6633) and does not."""
ICMP6_ERRORS = ("destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem")
"""RFC 4890 4.3.1: must not be dropped."""
NEIGHBOURS = (130, 131, 132, 133, 134, 135, 136, 143)
"""Neighbour and multicast-listener discovery: link-local traffic that must not be dropped, and never crosses a router (RFC 4890 4.4.1)."""

BOGONS4 = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.168.0.0/16 "
    "198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
)
"""IPv4 sources that cannot come from the internet (RFC 6890, RFC 5735), class D and E included."""
BOGONS6 = "::/3 2001::/23 2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1"
"""IPv6 sources that cannot come from the internet: everything outside 2000::/3, and within it what is reserved (RFC 6890, RFC 9637)."""


def _flags(text: str) -> int:
    return sum(FLAG_BITS[name] for name in text.split("+"))


GOOD_FLAGS = tuple(
    _flags(text)
    for text in [
        "syn",
        "syn+ack",
        "ack",
        "ack+psh",
        "ack+urg",
        "ack+psh+urg",
        "fin+ack",
        "fin+ack+psh",
        "fin+ack+urg",
        "fin+ack+psh+urg",
        "rst",
        "rst+ack",
        "rst+ack+psh",
    ]
)
"""The combinations of TCP flags that a correct sender makes (RFC 9293); ECN bits aside. NULL, XMAS, SYN-FIN and bare FIN are not here."""
ALL_FLAGS = 63
OPENING_MASK, OPENING = _flags("fin+syn+rst+ack"), _flags("syn")
"""A new TCP connection begins with SYN and none of ACK, RST, FIN."""

NO_RETURN_PATH = Unknown("no route back to the source through the interface it came from")


def over_limit(name: str, count: int, per: str, burst: int) -> Unknown:
    """The source has used up its allowance, kept in the set `name`."""
    return Unknown(f"source over {count}/{per} (burst {burst}) in {name}")


def within_limit(count: int, per: str, burst: int) -> Unknown:
    """A common allowance is not used up."""
    return Unknown(f"within {count}/{per} (burst {burst})")


def over_connections(name: str, count: int) -> Unknown:
    """The source has more connections open than allowed, kept in the set `name`."""
    return Unknown(f"source has over {count} connections in {name}")


def listed(name: str) -> Unknown:
    """The source is in a set that fills while the firewall runs."""
    return Unknown(f"source listed in {name}")


def collapse(networks: list[IPNetwork]) -> list[IPNetwork]:
    """The same addresses with the fewest networks; all of one IP version."""
    return list(collapse_addresses(networks))  # type: ignore[type-var]


def subtract(networks: list[IPNetwork], removed: list[IPNetwork]) -> list[IPNetwork]:
    """The addresses of `networks` that are not in `removed`; all of one IP version."""
    left = networks
    for hole in removed:
        left = [part for network in left for part in _without(network, hole)]
    return collapse(left)


def _without(network: IPNetwork, hole: IPNetwork) -> list[IPNetwork]:
    if network.subnet_of(hole):  # type: ignore[arg-type]
        return []
    if hole.subnet_of(network):  # type: ignore[arg-type]
        return list(network.address_exclude(hole))  # type: ignore[arg-type]
    return [network]


def bogons(version: int) -> list[IPNetwork]:
    """Sources that cannot come from outside, of one IP version."""
    return [ip_network(text) for text in (BOGONS4 if version == 4 else BOGONS6).split()]  # noqa: PLR2004 - IP version 4
