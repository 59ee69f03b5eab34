"""The second layer: what one host lets in by itself, from the same site, should the firewall before it fail.

What it does: from the flows that lead to a host, a table for that host that refuses all other input; and what it means, for the prover.
Not its job: what the host sends or forwards, limits and logs, which are the firewall's; services of the host for machines of its own
zone, which no flow names because they never meet the firewall: servers belong in a zone of their own.
Raises: `HostError` for a name that is no host, and for a flow that a host cannot follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from gatepost.firewall.catalogue import IPNetwork, collapse
from gatepost.firewall.compile import DISCOVERY, ERRORS, TABLE, VERSIONS, by_state, matches
from gatepost.firewall.declare import Allowed, End, Policy
from gatepost.firewall.formula import TRUE, Field, Formula, Name, both, either, state
from gatepost.firewall.intent import Intent, errors, neighbours, traffic_formula, within
from gatepost.site.network import FIREWALL


class HostError(Exception):
    """There are no rules for this host."""


def host_flows(policy: Policy, name: str) -> list[Allowed]:
    """The permissions that lead to a host, by its name or with its whole zone."""
    end = dict(policy.hosts).get(name)
    if end is None or not end.networks:
        raise HostError(f'"{name}" is no host of this site; it has {", ".join(host for host, _ in policy.hosts)}')
    found = [item for item in policy.allowed if _leads_to(item.destination, end)]
    for item in found:
        if item.helper:
            raise HostError(f'"{item.id}": a host does not follow data connections of {item.helper}; use a protocol with one connection')
    return found


def _leads_to(destination: End, host: End) -> bool:
    if destination.zone != host.zone:
        return False
    return destination.networks is None or bool(set(destination.networks) & set(host.networks or ()))


def arriving(policy: Policy, item: Allowed) -> list[IPNetwork] | None:
    """The sources of a permission as the host sees them, after the firewall's translation; None is anybody."""
    zone = policy.zones.get(item.source.zone)
    if item.source.zone == FIREWALL:
        return list(policy.own)
    if item.source.networks is None and zone and zone.external:
        return None
    found = list(item.source.networks or map(ip_network, zone.prefixes if zone else ()))
    rewritten = [one for one in policy.translations if (one.source.zone, one.to) == (item.source.zone, item.destination.zone)]
    if rewritten or (item.public and item.source.zone == item.destination.zone):
        found += [*policy.own, *(ip_network(one.address) for one in rewritten if one.address)]
    return [net for version, _ in VERSIONS for net in collapse([net for net in found if net.version == version])]


def host_intent(policy: Policy, name: str) -> Intent:
    """What the host's own rules mean: nothing is said of what it sends."""
    known = either([state("established"), both(state("related"), errors())])
    nearby = both(state("untracked"), neighbours())
    asked = either(_permission(policy, item) for item in host_flows(policy, name))
    meant = either([Name(Field.IIF, "lo"), known, nearby, both(state("new"), asked)])
    return Intent(TRUE, TRUE, meant, TRUE, (), (), ())


def _permission(policy: Policy, item: Allowed) -> Formula:
    sources = arriving(policy, item)
    return both(traffic_formula(item.traffic), TRUE if sources is None else within(Field.SRC, sources))


def compile_host(policy: Policy, name: str) -> str:
    """The host's table as text for `nft -f`, one transaction; loaded again, it replaces itself."""
    flows = host_flows(policy, name)
    asked = dict.fromkeys(rule for item in flows for rule in _rules(policy, item))
    rules = ['iifname "lo" accept', by_state("goto neighbours"), *asked]
    chains = [_chain("related", ERRORS), _chain("neighbours", (DISCOVERY,)), _chain("input", rules)]
    head = [
        f"# What {name} lets in by itself. Machines of its own zone ({dict(policy.hosts)[name].zone}) are let in by no flow.",
        f"table inet {TABLE} {{",
        "    chain input { type filter hook input priority filter; policy drop; }",
        "}",
        f"flush table inet {TABLE}",
        f"table inet {TABLE} {{",
    ]
    return "\n".join([*head, *chains, "}"]) + "\n"


def _rules(policy: Policy, item: Allowed) -> Iterator[str]:
    sources = arriving(policy, item)
    for version, word in VERSIONS:
        here = None if sources is None else [str(net) for net in sources if net.version == version]
        if here == []:
            continue
        come = f"{word} saddr {{ {', '.join(here)} }}" if here else f"meta nfproto ipv{version}"
        yield from (f'{come} {match} counter accept comment "{item.id}"' for match in matches(item.traffic, version))


def _chain(name: str, rules: list[str] | tuple[str, ...]) -> str:
    return "\n".join([f"    chain {name} {{", *(f"        {rule}" for rule in rules), "    }"])
