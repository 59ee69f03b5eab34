"""From a line of the log back to the policy: who tried what, why it was refused, and what would allow it.

What it does: finds the flow, or the lack of one, behind a logged packet.
Not its job: reading the log (`logged`).
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from gatepost.firewall.declare import Policy
from gatepost.firewall.formula import PROTOCOLS
from gatepost.firewall.logged import Entry
from gatepost.firewall.words import service

_REASONS = {
    "malformed": "The packet is malformed: impossible TCP flags, a fragment, or a first packet without SYN. No policy allows that.",
    "spoofed": "The source address cannot be where the packet came from. No policy allows that.",
    "flooding": "The source used up its allowance of connections.",
    "banned": "The source was seen scanning ports and is shut out for a while.",
}


def why(policy: Policy, entry: Entry, today: dt.date) -> str:
    """The line in words, with the declaration that would allow it for a week where one could."""
    names = {str(net.network_address): name for name, end in policy.hosts for net in end.networks or ()}
    zones = {name: zone for zone, found in policy.zones.items() for name in found.interfaces}
    source, target = names.get(entry.source, entry.source), names.get(entry.target, entry.target)
    what = service(PROTOCOLS.get(entry.proto, 0), entry.port)
    come, go = zones.get(entry.incoming, "firewall"), zones.get(entry.outgoing, "firewall")
    lines = [f"{source} ({come}) tried {what} at {target} ({go})."]
    if entry.kind in _REASONS:
        return "\n".join([*lines, _REASONS[entry.kind]])
    if entry.kind != "refused":
        flow = next((item for item in policy.allowed if item.log.strip() == entry.kind), None)
        return "\n".join(
            [*lines, f'It was let through and logged for "{flow.id}": {flow.reason}' if flow else "It was let through and logged."]
        )
    declared = [item.id for item in policy.pairs().get((come, go), [])]
    lines.append(
        f"No flow from {come} to {go} allows it"
        + (f"; declared there: {', '.join(dict.fromkeys(declared))}." if declared else "; none is declared there.")
    )
    lines += [
        "",
        "To allow it for a week, put this into the site file and run gatepost firewall apply:",
        "",
        *_flow(policy, entry, names, come, go, today),
    ]
    return "\n".join(lines)


def _flow(policy: Policy, entry: Entry, names: dict[str, str], come: str, go: str, today: dt.date) -> Iterator[str]:
    """The declaration that allows what the line shows, and no more than the site has names for."""
    word = next(
        (name for name, found in policy.services if (entry.port, entry.port) in (found.tcp if entry.proto == "tcp" else found.udp)), ""
    )
    own = f"{entry.proto}-{entry.port}"
    yield from ("[[flows]]", f'id = "allow-{own}"', f'from = "{names.get(entry.source, come)}"', f'to = "{names.get(entry.target, go)}"')
    yield from (f'services = "{word or own}"', 'reason = "say why"', 'owner = "say who"', f"expires = {today + dt.timedelta(days=7)}")
    if not word:
        yield from ("", f"[services.{own}]", f"{entry.proto} = [{entry.port}]")
