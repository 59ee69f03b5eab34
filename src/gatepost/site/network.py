"""The network as declared: zones, hosts, services, flows, published services, address translation, limits, logging.

What it does: gives each declaration a type, so that a wrong key, a wrong type or a missing reason is refused with its place in the file.
Not its job: references between declarations (`gatepost.firewall.declare`), rules (`gatepost.firewall.compile`).
Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gatepost.site.base import Section

FIREWALL = "firewall"
"""The name by which flows call the firewall host itself."""


def _several(value: object) -> object:
    """One name may be written without brackets."""
    return (value,) if isinstance(value, str) else value


def _network(text: str) -> str:
    return str(ip_network(text))


def _address(text: str) -> str:
    return str(ip_address(text))


def _ports(value: object) -> object:
    if not isinstance(value, int | str):
        return value
    low, _, high = str(value).partition("-")
    pair = (int(low), int(high or low))
    if not 0 < pair[0] <= pair[1] <= 65535:  # noqa: PLR2004 - the largest port there is
        raise ValueError(f"'{value}' is not a port or a range of ports such as 8000-8010")
    return pair


Network = Annotated[str, AfterValidator(_network)]
Address = Annotated[str, AfterValidator(_address)]
Ports = Annotated[tuple[int, int], BeforeValidator(_ports)]
Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
Software = Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+. -]{0,60}$")], ...], BeforeValidator(_several)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8)]
Owner = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)]
Rate = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}/(second|minute|hour)$")]


class Zone(Section):
    """A part of the network behind one or more interfaces.

    `prefixes` are its IPv4 and IPv6 networks in CIDR form; an `external` zone has none: it is everything that is not ours.
    `gateway` lists the firewall's own addresses on that side. `refuse` says what a refused packet from here is told.
    """

    interfaces: tuple[str, ...] = ()
    prefixes: tuple[Network, ...] = ()
    gateway: tuple[Address, ...] = ()
    external: bool = False
    refuse: Literal["drop", "reject"] = "drop"


class Host(Section):
    """A machine in a zone, with its addresses (IPv4 and IPv6) and the role it has for Gatepost ("" is none).

    `software` names what it runs that others can reach, and its system, in words of your own ("sendmail", "debian"); the same in two layers is
    a remark of `gatepost site check`. The relay's MTA is known from `relay.mta`.
    """

    zone: str
    addresses: tuple[Address, ...]
    role: str = ""
    software: Software = ()


class Service(Section):
    """A service of one's own: TCP and UDP ports (7 or "7-9"), ICMP message types by name, or other IP protocols by number."""

    tcp: tuple[Ports, ...] = ()
    udp: tuple[Ports, ...] = ()
    icmp: tuple[str, ...] = ()
    icmpv6: tuple[str, ...] = ()
    protocols: tuple[int, ...] = ()


class Permission(Section):
    """What every exception to "nothing passes" carries: a name, why it is there, who answers for it, and when it ends.

    `answer` names the answer of the risk interview from which it follows ("services-needed#2" is the second row); as soon as one permission
    of a site names its answer, all must.
    """

    id: Label
    reason: Reason
    owner: Owner
    expires: dt.date | None = None
    answer: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]*(#[1-9][0-9]*)?)?$")] = ""


class Flow(Permission):
    """New connections from zones or hosts to zones or hosts, for some services.

    `log` is a prefix: each such connection is logged. `rate` limits new connections of one source, `connections` those open at a time.
    `helper` lets the kernel follow the data connections of FTP, for exactly these peers.
    """

    sources: Names = Field(alias="from")
    destinations: Names = Field(alias="to")
    services: Names
    log: Annotated[str, StringConstraints(max_length=40, pattern=r"^[A-Za-z0-9 _.-]*$")] = ""
    rate: Rate | None = None
    connections: Annotated[int, Field(ge=0, le=65535)] = 0
    helper: Literal["", "ftp"] = ""


class Admin(Flow):
    """An administrator's way to the firewall itself. With `on_request` it is shut until `gatepost access open` opens it for a time."""

    on_request: bool = False


class Publish(Permission):
    """A service of an inside host offered under public addresses: translation, passage, replies and the way back in, as one thing.

    An address that the host itself has (as is usual in IPv6) is opened without translation.
    """

    addresses: Annotated[tuple[Address, ...], BeforeValidator(_several)]
    host: str
    services: Names
    sources: Names = Field(alias="from")
    log: str = ""
    rate: Rate | None = None
    connections: Annotated[int, Field(ge=0, le=65535)] = 0


class Translate(Section):
    """Source translation of what leaves `from` (zone or host) for zone `to`: to one `address`, or to the interface's own when empty."""

    sources: Names = Field(alias="from")
    to: str
    address: Address | None = None


class Icmp(Section):
    """Who may ping whom at the firewall itself; error messages and neighbour discovery are always handled (RFC 4890)."""

    ping_from: Names = ()
    rate: Rate = "10/second"


class Scan(Section):
    """Port-scan detection: a source refused more often than `rate` is remembered for `remember` seconds, and shut out when `ban` is set.

    Off for shutting out by default: a forged source address could otherwise be used to cut off a partner.
    """

    rate: Rate = "20/minute"
    remember: Annotated[int, Field(gt=0)] = 600
    ban: bool = False


class Limits(Section):
    """Limits for everything that comes from outside, per source address: new connections, and connections open at a time."""

    new: Rate | None = "200/second"
    connections: Annotated[int, Field(ge=0, le=65535)] = 500


class Logging(Section):
    """Refused packets go to NFLOG `group`, at most `rate` a reason, so that a flood cannot fill the log.

    `gatepost firewall watch` reads that group and keeps what was tried by the minute, however much it was.
    """

    group: Annotated[int, Field(ge=0, le=65535)] = 5
    rate: Rate = "100/second"


class Firewall(Section):
    """The firewall itself: administrators' access, ICMP, limits, logging.

    `admit_sources` are networks that the lists of impossible sources would refuse but that really are outside (a laboratory's, an ISP's).
    `confirm` is the number of seconds after which an unconfirmed change is undone. `software` is for the firewall what it is for a host.
    """

    admin: tuple[Admin, ...] = ()
    icmp: Icmp = Icmp()
    limits: Limits = Limits()
    scan: Scan = Scan()
    logging: Logging = Logging()
    admit_sources: tuple[Network, ...] = ()
    confirm: Annotated[int, Field(ge=5, le=3600)] = 60
    software: Software = ()
