"""What the policy says of one connection between two addresses, as it would begin on the wire.

What it does: finds the sides that two addresses are on, translates as declared, and asks the intent.
Not its job: rule sets; this is about what is meant.
Raises: nothing.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from gatepost.firewall.declare import Policy
from gatepost.firewall.formula import FLAG_BITS, TCP, Packet, Unknown, holds, leaves
from gatepost.firewall.intent import Intent
from gatepost.firewall.ruleset import translate


def side(policy: Policy, address: str) -> str:
    """The interface that an address is behind; "" for the firewall's own."""
    if any(net == ip_network(address) for net in policy.own):
        return ""
    for zone in policy.zones.values():
        if any(ip_address(address) in ip_network(text) for text in zone.prefixes):
            return zone.interfaces[0]
    return next((zone.interfaces[0] for zone in policy.zones.values() if zone.external), "")


def may_begin(policy: Policy, meant: Intent, source: str, target: str, proto: int, port: int) -> tuple[bool, str]:
    """Whether a connection may begin, and the address that it ends at after translation."""
    packet = Packet(
        iif=side(policy, source),
        family=ip_address(target).version,
        proto=proto,
        src=int(ip_address(source)),
        dst=int(ip_address(target)),
        sport=40000,
        dport=port,
        flags=FLAG_BITS["syn"] if proto == TCP else 0,
        holds=_innocent(meant),
    )
    if not packet.iif:
        return holds(meant.output, replace(packet, oif=side(policy, target) or "lo")), target
    if not holds(meant.entry, packet):
        return False, target
    rewrite = next((rewrite for asked, rewrite in meant.published if holds(asked, packet)), None)
    packet = translate(rewrite, packet) if rewrite else packet
    end = str(type(ip_address(target))(packet.dst))
    way_out = side(policy, end)
    return holds(meant.forward if way_out else meant.input, replace(packet, oif=way_out)), end


def _innocent(meant: Intent) -> frozenset[str]:
    """Conditions that hold for a source that has done nothing yet: it is within every allowance."""
    found = (leaf for formula in meant.formulas() for leaf in leaves(formula))
    return frozenset(leaf.text for leaf in found if isinstance(leaf, Unknown) and leaf.text.startswith("within"))
