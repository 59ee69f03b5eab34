"""The policy as management reads it: what may go where, why, who answers for it; as prose, as a table, and as a drawing.

What it does: writes the definitive list from the same policy that the rules are compiled from.
Not its job: rules.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from gatepost.firewall.declare import Allowed, Policy
from gatepost.firewall.words import listing
from gatepost.site.network import FIREWALL


def policy_text(policy: Policy) -> str:
    """The list in prose."""
    lines = [f"What the firewall of {policy.name} lets pass", "", "Nothing passes but what stands here, in IPv4 and IPv6 alike.", ""]
    for (source, destination), items in policy.pairs().items():
        lines.append(f"From {_place(source)} to {_place(destination)}:")
        lines += [f"  - {sentence}" for sentence in _sentences(items)]
    lines += ["", *_closed(policy)]
    for item in policy.translations:
        address = item.address or "the firewall's own address"
        lines.append(f"{item.source.name} is seen from {item.to} under {address}.")
    ping = policy.settings.icmp.ping_from
    lines.append(f"The firewall answers ping from {listing(ping)}." if ping else "The firewall answers no ping.")
    if not _vpn(policy):
        lines.append("There is no way in by VPN.")
    if policy.expired:
        lines.append(f"Expired, and therefore closed: {listing(policy.expired)}.")
    return "\n".join(lines)


def _place(name: str) -> str:
    return "the firewall itself" if name == FIREWALL else name


def _sentences(items: list[Allowed]) -> Iterator[str]:
    """One sentence a declared flow, however many ends it has."""
    by_id: dict[str, list[Allowed]] = {}
    for item in items:
        by_id.setdefault(item.id, []).append(item)
    for name, found in by_id.items():
        first = found[0]
        who = listing(dict.fromkeys(_place(item.source.name) for item in found))
        whom = listing(dict.fromkeys(_target(item) for item in found))
        until = f" Until {first.expires}." if first.expires else ""
        yield f"{who} to {whom}: {services_text(first)}.{_limits(first)} {first.reason} ({first.owner}; {name}){until}"


def _target(item: Allowed) -> str:
    if not item.offered:
        return _place(item.destination.name)
    nets = item.public or item.destination.networks or ()
    return f"{item.destination.name} (as {listing(str(net.network_address) for net in nets)})"


def services_text(*items: Allowed) -> str:
    """The services of permissions by the names that the site has for them."""
    return listing(dict.fromkeys(one.service for item in items for one in item.traffic))


def _limits(item: Allowed) -> str:
    parts = []
    if item.rate:
        parts.append(f"at most {item.rate[0]} new connections a {item.rate[1]} from one source")
    if item.connections:
        parts.append(f"at most {item.connections} connections open at a time from one source")
    if item.on_request:
        parts.append("only while it is opened for a time")
    if item.log:
        parts.append(f'logged as "{item.log}"')
    if item.helper:
        parts.append("with its data connections")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _closed(policy: Policy) -> Iterator[str]:
    names = [*policy.zones, FIREWALL]
    for source in names:
        closed = [_place(target) for target in names if target != source and (source, target) not in policy.pairs()]
        if closed:
            yield f"From {_place(source)}, nothing can begin a connection to {listing(closed, 'or')}."


def _vpn(policy: Policy) -> bool:
    return any(one.service in {"openvpn", "wireguard", "ike", "esp"} for item in policy.allowed for one in item.traffic)


def policy_rows(policy: Policy) -> list[dict[str, str]]:
    """The list as a table."""
    return [
        {
            "id": item.id,
            "from": item.source.name,
            "to": _target(item),
            "services": services_text(item),
            "reason": item.reason,
            "owner": item.owner,
            "expires": str(item.expires or ""),
        }
        for item in policy.allowed
    ]


WIDTH, HEIGHT, BOX, SIDE = 960, 620, 230, 30


def drawing(policy: Policy) -> str:
    """The network as an SVG: zones round the firewall, an arrow for each pair of zones with what passes on it."""
    places = _places(list(policy.zones))
    parts = [_zone(policy, name, x, y) for name, (x, y) in places.items()]
    centre = (WIDTH // 2, HEIGHT // 2)
    parts += [_wire(policy, name, places[name], centre) for name in places]
    parts.append(_box(centre[0] - 80, centre[1] - 34, 160, 68, "#333", "#fff", ["firewall", "refuses everything else"]))
    parts += _legend(policy)
    height = HEIGHT + 26 * (len(policy.pairs()) + 2)
    style = "text{font-family:sans-serif;font-size:13px;fill:#222}.small{font-size:11px;fill:#555}.head{font-weight:bold;font-size:15px}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = f"<title>{escape(policy.name)}: the network and what passes</title>"
    return "\n".join([head, title, f"<style>{style}</style>", f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *parts, "</svg>"])


def _places(names: list[str]) -> dict[str, tuple[int, int]]:
    """External zones on the left, the others spread on the right and below: the centre of each box."""
    spots = [(150, HEIGHT // 2), (WIDTH - 150, 130), (WIDTH - 150, HEIGHT - 130), (WIDTH // 2, 90), (WIDTH // 2, HEIGHT - 80)]
    spots += [(150, 110), (150, HEIGHT - 110)]
    return dict(zip(names, spots, strict=False))


def _box(x: int, y: int, width: int, height: int, fill: str, ink: str, lines: list[str]) -> str:
    rows = [
        f'<text x="{x + width / 2}" y="{y + 26 + 20 * index}" text-anchor="middle" style="fill:{ink}" class="{"head" if index == 0 else "small"}">'
        f"{escape(line)}</text>"
        for index, line in enumerate(lines)
    ]
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" fill="{fill}" stroke="#444"/>' + "".join(rows)


def _zone(policy: Policy, name: str, x: int, y: int) -> str:
    zone = policy.zones[name]
    hosts = [host for host, end in policy.hosts if end.zone == name]
    lines = [name, *zone.prefixes[:2], *hosts[:5]]
    height = 34 + 20 * len(lines)
    return _box(x - BOX // 2, y - height // 2, BOX, height, "#f6e0dc" if zone.external else "#e3ecdf", "#222", lines)


def _wire(policy: Policy, name: str, place: tuple[int, int], centre: tuple[int, int]) -> str:
    """The cable between a zone and the firewall, with the interface it ends in."""
    x, y = place
    dx = BOX // 2 if x < centre[0] else -BOX // 2 if x > centre[0] else 0
    ends = (x + dx, y, centre[0] + (-80 if x < centre[0] else 80 if x > centre[0] else 0), centre[1])
    label = ", ".join(policy.zones[name].interfaces)
    middle = ((ends[0] + ends[2]) / 2 - (24 if ends[1] != ends[3] else 0), (ends[1] + ends[3]) / 2 - 8)
    return (
        f'<line x1="{ends[0]}" y1="{ends[1]}" x2="{ends[2]}" y2="{ends[3]}" stroke="#444" stroke-width="2"/>'
        f'<text x="{middle[0]}" y="{middle[1]}" text-anchor="middle" class="small">{escape(label)}</text>'
    )


def _legend(policy: Policy) -> Iterator[str]:
    """Under the drawing, a line for each pair of zones."""
    y = HEIGHT + 10
    yield f'<text x="{SIDE}" y="{y}" class="head">What may begin a connection</text>'
    for (source, destination), items in policy.pairs().items():
        y += 26
        text = f"{_place(source)}  \u2192  {_place(destination)}:  {services_text(*items)}"
        yield f'<text x="{SIDE}" y="{y}">{escape(text if len(text) < 130 else text[:127] + "...")}</text>'  # noqa: PLR2004 - fits the width
