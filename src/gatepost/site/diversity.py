"""Which software stands in more than one layer of the site: one hole in it opens them all.

What it does: joins what the site file says runs on the firewall and on each host (`software`) with what Gatepost itself sets up: the relay's
MTA. The firewall's own null client takes no mail from anybody and so is no layer.
Not its job: what really is installed (`gatepost host audit` looks at packages).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatepost.site.model import Site
from gatepost.site.network import FIREWALL

RELAY = "relay"
"""The role, and the layer, of the hosts on which Gatepost sets up the MTA."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One software and the layers it stands in, in the order of the site file; `hosts` are the hosts on which it was declared or set up."""

    software: str
    layers: tuple[str, ...]
    hosts: tuple[str, ...]

    def __str__(self) -> str:
        """One plain sentence."""
        return f"{self.software} runs on {', '.join(self.layers[:-1])} and {self.layers[-1]}: one hole in it opens all of them"


REMEDY = "use another program on one of them, or write down as a risk why they stay alike"


def shared(site: Site) -> tuple[Shared, ...]:
    """Everything that runs in two layers or more. Hosts of one role are one layer: two relays are meant to be alike."""
    places: dict[str, list[tuple[str, str]]] = {}
    for host, layer, software in _runs(site):
        places.setdefault(software, []).append((host, layer))
    found = []
    for software, where in places.items():
        hosts, layers = dict.fromkeys(host for host, _layer in where), dict.fromkeys(layer for _host, layer in where)
        if len(layers) > 1:
            found.append(Shared(software, tuple(layers), tuple(hosts)))
    return tuple(found)


def _runs(site: Site) -> Iterator[tuple[str, str, str]]:
    """Each host, its layer, and each software on it."""
    for software in site.firewall.software:
        yield FIREWALL, FIREWALL, software
    for name, host in site.hosts.items():
        layer = host.role or name
        for software in (*host.software, *((site.relay.mta,) if layer == RELAY else ())):
            yield name, layer, software
