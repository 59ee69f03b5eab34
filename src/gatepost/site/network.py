"""The network as declared: zones, hosts, services, flows. A flow without a reason is an error.

Not its job: compiling rules (`gatepost.firewall`).
"""

from __future__ import annotations

from gatepost.site.base import Section


class Zone(Section):
    """A part of the network behind one or more interfaces; `prefixes` are IPv4 and IPv6 networks in CIDR form."""

    interfaces: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    external: bool = False


class Host(Section):
    """A machine in a zone, with its addresses (IPv4 and IPv6) and the role it has for Gatepost ("" is none)."""

    zone: str
    addresses: tuple[str, ...]
    role: str = ""
