"""What a relay shall do, taken from the site and free of any MTA's language: both MTAs are generated from this one value.

What it does: turns hosts into addresses, so that no route needs DNS; puts the milters in order; lists recipients and networks.
Not its job: any MTA's syntax (`postfix`, `sendmail`).
Raises: `RelayError` when the site does not say enough for a relay, with the remedy.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from gatepost.site.base import Endpoint, parse_endpoint
from gatepost.site.mail import Mail
from gatepost.site.model import Site

LOOPBACK = ("127.0.0.0/8", "::1/128")
SMTP_PORT = 25
SLACK = 60.0
"""Seconds that the MTA waits for Gatepost over the wall time that one mail may take."""


class RelayError(Exception):
    """The site does not say enough for a relay; the text says what to add."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Where mail goes on to: addresses in order of preference (or one name, looked up without DNS), a port, and the host's name."""

    hosts: tuple[str, ...]
    port: int
    name: str


@dataclass(frozen=True, slots=True)
class RowMilter:
    """A milter in the row, at the path or endpoint `socket`. `ours` marks Gatepost; `required` says that mail waits while it is silent."""

    name: str
    socket: str | Endpoint
    required: bool
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """What a relay shall do. `recipients` are all addresses that exist, None when no list is kept; `asks` says that the next hop is asked."""

    site: Site
    hostname: str
    routes: tuple[tuple[str, Hop], ...]
    outbound: Hop | None
    networks: tuple[tuple[str, str], ...]
    milters: tuple[RowMilter, ...]
    recipients: tuple[str, ...] | None
    asks: bool
    milter_seconds: int


def intent(site: Site, aliases: frozenset[str] = frozenset()) -> Intent:
    """What the relay of `site` shall do; `aliases` are the left sides of the aliases file. Raises RelayError."""
    mail = site.mail
    return Intent(
        site=site,
        hostname=hostname(site),
        routes=tuple((domain, hop(site, mail.routes.get(domain, mail.next_hop))) for domain in mail.domains),
        outbound=hop(site, mail.outbound) if mail.outbound else None,
        networks=_networks(site),
        milters=_milters(site),
        recipients=_recipients(mail, aliases) if mail.recipients.verify == "list" else None,
        asks=mail.recipients.verify == "next-hop",
        milter_seconds=round(mail.limits.wall + SLACK),
    )


def hostname(site: Site) -> str:
    """The relay's own name."""
    return site.relay.hostname or f"relay.{site.mail.domains[0]}"


def hop(site: Site, written: str) -> Hop:
    """Where `written` (host:port of the site file) is; a host of the site is told by its addresses."""
    endpoint = parse_endpoint(written, SMTP_PORT)
    host = site.hosts.get(endpoint.host)
    return Hop(host.addresses if host and host.addresses else (endpoint.host,), endpoint.port, endpoint.host)


def socket_of(text: str) -> str | Endpoint:
    """The path or the endpoint of a socket of the site file."""
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    return parse_endpoint(text.removeprefix("tcp:").removeprefix("inet:"))


def is_ipv6(address: str) -> bool:
    """Whether this is an IPv6 address; a name is none."""
    try:
        return ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - the name of the protocol
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether this is an address, not a name."""
    return is_ipv6(text) or text.replace(".", "").isdigit()


def _networks(site: Site) -> tuple[tuple[str, str], ...]:
    """Networks that may relay, each with the reason."""
    inside = [(prefix, f"zone {zone} may send to the world") for zone in site.mail.relay_from for prefix in site.zones[zone].prefixes]
    return (*((prefix, "the machine itself") for prefix in LOOPBACK), *inside)


def _milters(site: Site) -> tuple[RowMilter, ...]:
    if site.mail.milter.listen is None:
        raise RelayError(
            "the site has no milter for the MTA to ask, so its mail would pass unscanned; "
            'write listen = "unix:/run/gatepost/milter.sock" in a section [mail.milter]'
        )
    others = [(one.place, RowMilter(one.name, socket_of(one.socket), one.required)) for one in site.relay.milters]
    ours = RowMilter("gatepost", socket_of(site.mail.milter.listen), required=True, ours=True)
    before = [milter for place, milter in others if place == "before"]
    signer = [RowMilter("dkim", socket_of(site.relay.dkim.socket), required=True)] if site.relay.dkim.selector else []
    return (*before, ours, *(milter for place, milter in others if place == "after"), *signer)


def _recipients(mail: Mail, aliases: frozenset[str]) -> tuple[str, ...]:
    listed = {address.lower() for address in mail.recipients.addresses} | {"postmaster"} | aliases
    whole = {name for name in listed if "@" in name}
    return tuple(sorted(whole | {f"{name}@{domain}" for name in listed - whole for domain in mail.domains}))
