"""Sendmail's access table: who may relay, who gets mail, how much one sender may do, TLS.

Not its job: sendmail.mc (`sendmail`).
Raises: `RelayError` for a network that the table could only say in very many lines.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gatepost.relay.intent import Intent, RelayError, is_ipv6
from gatepost.relay.text import Line, section

MINUTE = 60
MOST_LINES = 256
STEP = {4: 8, 6: 16}
"""Bits of one number of an address as the table writes it: it knows networks only in whole numbers."""


def access(wanted: Intent) -> Iterator[Line]:
    """All lines. Sendmail looks for the whole address first, then for shorter and shorter beginnings."""
    yield section("Who may send to the world")
    for network, reason in wanted.networks:
        for key in keys(network):
            yield Line(f"Connect:{key}\tRELAY", reason)
    yield from _recipients(wanted)
    yield from _limits(wanted)
    yield from _tls(wanted)


def keys(network: str) -> list[str]:
    """A network as keys of the table: 192.168.3 for 192.168.3.0/24; one that ends within a number is several keys."""
    whole = ipaddress.ip_network(network)
    step = STEP[whole.version]
    up = -whole.prefixlen % step
    if 1 << up > MOST_LINES:
        raise RelayError(
            f"{network} would be {1 << up} lines of Sendmail's access table; write it with a prefix that is a multiple of {step}"
        )
    if whole == ipaddress.ip_network("::1/128"):
        return ["IPv6:::1"]
    return [_key(part, part.prefixlen // step) for part in whole.subnets(up)]


def _key(network: ipaddress.IPv4Network | ipaddress.IPv6Network, numbers: int) -> str:
    if isinstance(network, ipaddress.IPv4Network):
        return ".".join(str(network.network_address).split(".")[:numbers])
    return "IPv6:" + ":".join(f"{int(group, 16):x}" for group in network.network_address.exploded.split(":")[:numbers])


def _recipients(wanted: Intent) -> Iterator[Line]:
    yield section("Who gets mail here")
    if wanted.recipients is None:
        for domain, _ in wanted.routes:
            yield Line(f"To:{domain}\tRELAY", "our domains: strangers may send to these and to nothing else")
        return
    for address in wanted.recipients:
        yield Line(f"To:{address}\tRELAY", "who gets mail here, from mail.recipients of the site file")
    for domain, _ in wanted.routes:
        yield Line(f"To:{domain}\tERROR:5.1.1:550 there is no such recipient here", "and nobody else does")


def _limits(wanted: Intent) -> Iterator[Line]:
    flood = wanted.site.relay.limits
    rate = max(1, flood.rate.count * MINUTE // flood.rate.seconds)
    yield section("Floods")
    for network, _ in wanted.networks:
        for key in keys(network):
            yield Line(f"ClientRate:{key}\t0", "our own servers and lists may send many at once")
            yield Line(f"ClientConn:{key}\t0", "our own servers and lists may send many at once")
    yield Line(f"ClientRate:\t{rate}", "new connections of one sender in a minute")
    yield Line(f"ClientConn:\t{flood.connections}", "sessions at a time of one sender")


def _tls(wanted: Intent) -> Iterator[Line]:
    outer, inner = wanted.site.relay.tls.policy, wanted.site.mail.smtp.tls.policy
    if {outer, inner} == {"opportunistic"}:
        return
    yield section("TLS")
    if outer != "opportunistic":
        yield Line(_rule(outer, ""), f"relay.tls.policy of the site file is {outer}")
    shared = wanted.outbound.hosts if wanted.outbound and inner == "opportunistic" else ()
    for host in sorted({host for _, hop in wanted.routes for host in hop.hosts} - set(shared)):
        yield Line(_rule(inner, f"IPv6:{host}" if is_ipv6(host) else host), f"mail.smtp.tls.policy of the site file is {inner}")


def _rule(policy: str, host: str) -> str:
    """What is asked of the servers called `host`, of all when that is "". The more exact line counts."""
    return {
        "required": f"TLS_Srv:{host}\tENCR:128",
        "verified": f"TLS_Srv:{host}\tVERIFY:128",
        "none": f"Try_TLS:{host}\tNO",
        "opportunistic": f"TLS_Srv:{host}\tOK",
    }[policy]
