"""Which way a mail goes, and who may send where: the perimeter as seen by mail.

What it does: finds the zone of a sending host, the direction of a mail for each recipient, and refuses recipients that
are not this site's business.
Not its job: findings (`policy`); asking the next hop whether a recipient exists (`receive`). The header is never read here:
only the envelope says who gets a mail.
Raises: nothing.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from gatepost.mail.model import Direction, Envelope, Reply
from gatepost.site.base import parse_domain
from gatepost.site.model import Site

LOCALHOST = "localhost"
"""The zone of the machine itself; no declared zone has loopback addresses."""

_DETOUR = re.compile(r"[%!@:]")

RELAY_DENIED = Reply(550, "5.7.1", "this host does not relay: the recipient is not at one of our domains")
NO_SUCH_USER = Reply(550, "5.1.1", "there is no such recipient here")
BAD_ADDRESS = Reply(553, "5.1.3", "the recipient's address cannot be understood")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Perimeter:
    """What of a site decides about directions. `networks` has the longest prefixes first; `elsewhere` is the zone of all other addresses."""

    domains: frozenset[str]
    networks: tuple[tuple[Network, str], ...]
    elsewhere: str
    relay_from: frozenset[str]

    @staticmethod
    def of(site: Site) -> Perimeter:
        """The perimeter that `site` declares."""
        networks = [(ipaddress.ip_network(prefix), name) for name, zone in site.zones.items() for prefix in zone.prefixes]
        outside = [name for name, zone in site.zones.items() if zone.external and not zone.prefixes]
        return Perimeter(
            domains=frozenset(site.mail.domains),
            networks=tuple(sorted(networks, key=lambda item: -item[0].prefixlen)),
            elsewhere=outside[0] if len(outside) == 1 else "",
            relay_from=frozenset(site.mail.relay_from),
        )

    def zone(self, client: str) -> str:
        """The zone of a sending host's address; "" when nothing is known of it."""
        try:
            address = _address(client)
        except ValueError:
            return ""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_loopback:
            return LOCALHOST
        return next((name for network, name in self.networks if address in network), self.elsewhere)

    def is_inside(self, envelope: Envelope) -> bool:
        """Whether the sender is one of ours: an authenticated user, or a host that may relay."""
        zone = self.zone(envelope.client)
        return bool(envelope.user) or zone == LOCALHOST or zone in self.relay_from

    def is_ours(self, address: str) -> bool:
        """Whether `address` is at one of our domains."""
        return domain_of(address) in self.domains

    def direction(self, envelope: Envelope, recipient: str) -> Direction:
        """Which way the mail goes for `recipient`. What comes from nobody we know is inbound, whoever it is for."""
        if not self.is_inside(envelope):
            return Direction.INBOUND
        return Direction.INTERNAL if self.is_ours(recipient) else Direction.OUTBOUND

    def refusal(self, envelope: Envelope, recipient: str, known: frozenset[str] | None = None) -> Reply | None:
        """Why `recipient` is refused, or None; `known` are all recipients in lower case where a list is kept.

        A local part that is itself a route (user%host, host!user, "user@host") is refused to strangers: RFC 5321 3.6.1, F.2.
        """
        local, at, _ = recipient.rpartition("@")
        inside = self.is_inside(envelope)
        if not at:
            return None if recipient.lower() == "postmaster" else BAD_ADDRESS
        if not inside and not self.is_ours(recipient):
            return RELAY_DENIED
        if not inside and _DETOUR.search(local):
            return RELAY_DENIED
        if known is not None and self.is_ours(recipient) and not is_known(recipient, known):
            return NO_SUCH_USER
        return None


@lru_cache(maxsize=4096)
def _address(client: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A host's address, remembered: the same hosts send again and again. Raises ValueError."""
    return ipaddress.ip_address(client.removeprefix("IPv6:"))


@lru_cache(maxsize=4096)
def domain_of(address: str) -> str:
    """The domain of an address in its ASCII form; "" when it has none that is valid."""
    try:
        return parse_domain(address.rpartition("@")[2])
    except ValueError:
        return ""


def is_known(recipient: str, known: frozenset[str]) -> bool:
    """Whether a list of recipients (whole addresses, or local parts) has this one; the part after + does not count (RFC 5233)."""
    local, _, domain = recipient.lower().rpartition("@")
    bare = local.partition("+")[0]
    names = {local, bare, f"{local}@{domain}", f"{bare}@{domain}", "postmaster" if local == "postmaster" else local}
    return local == "postmaster" or not known.isdisjoint(names)
