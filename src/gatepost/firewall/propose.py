"""From a rule set that somebody else wrote to the network part of a site file that does the same, as far as it should.

What it does: makes zones of the interfaces, hosts of the single addresses, services of the ports and flows of what passes, and writes them
as TOML for a person to complete: a rule set knows no reasons.
Not its job: reading the rule set; comparing the proposal with it (`compare` does, and what differs is told with the proposal).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, summarize_address_range

from gatepost.firewall.findings import outside
from gatepost.firewall.formula import PORT_PROTOCOLS, PROTOCOL_NAMES, TCP, UDP, Field, Name, Range, leaves
from gatepost.firewall.ruleset import Ruleset, Verdict
from gatepost.firewall.sentences import View, groups
from gatepost.firewall.space import Set
from gatepost.firewall.words import WELL_KNOWN, address
from gatepost.site.network import FIREWALL

MANY = 12
"""More single addresses or port ranges than this become the whole zone, and the difference is told."""
REASON = "Imported: write here why it is needed."


@dataclass(slots=True)
class Proposal:
    """What will stand in the site file; notes tell what was made wider or left out."""

    zones: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, tuple[str, str]] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    flows: list[str] = field(default_factory=list)
    publish: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def propose(ruleset: Ruleset, version: int = 4) -> Proposal:
    """A proposal from what a rule set really passes in one IP version."""
    view = View(ruleset, version)
    return _Proposer(view).proposal()


class _Proposer:
    def __init__(self, view: View) -> None:
        self.view, self.result = view, Proposal()
        self.outside = outside(view)

    def proposal(self) -> Proposal:
        names = [name for name in self.view.space.names[Field.IIF] if name and name != "lo" and not name.endswith("*")]
        for name in names:
            self.result.zones[name] = "internet" if name == self.outside else f"zone-{name.replace('.', '-')}"
        self._prefixes()
        self._published()
        for path in ("forward", "input", "output"):
            for group in groups(self.view, path, self.view.translated_new() if path == "forward" else self.view.new(path)):
                for come in group.incoming if path != "output" else (FIREWALL,):
                    for go in group.outgoing if path != "input" else (FIREWALL,):
                        self._pair(come, go, group.packets)
        return self.result

    def _prefixes(self) -> None:
        """The networks that rules name as sources of an interface."""
        for rule in self.view.ruleset.rules():
            names = {leaf.pattern for leaf in leaves(rule.test) if isinstance(leaf, Name) and leaf.field is Field.IIF}
            for leaf in leaves(rule.test):
                if len(names) == 1 and isinstance(leaf, Range) and leaf.field is Field.SRC and rule.verdict is not Verdict.DROP:
                    self._prefix(next(iter(names)), leaf.low, leaf.high)

    def _prefix(self, name: str, low: int, high: int) -> None:
        if name == self.outside or name not in self.result.zones:
            return
        kind = IPv4Address if self.view.version == 4 else IPv6Address  # noqa: PLR2004 - IP version 4
        for net in summarize_address_range(kind(low), kind(high)):
            text = str(net if net.num_addresses > 1 else net.supernet(new_prefix=24 if self.view.version == 4 else 64))  # noqa: PLR2004
            if text not in self.result.prefixes.setdefault(name, []):
                self.result.prefixes[name].append(text)

    def _published(self) -> None:
        for piece in self.view.pieces["forward"]:
            rewrite, opening = piece.rewrite, piece.packets & self.view.opening()
            if rewrite is None or rewrite.address is None or opening == self.view.space.none:
                continue
            targets = self.view.space.values(opening, Field.DST)
            if len(targets) == 1 and targets[0][0] == targets[0][1]:
                host = self._host(rewrite.address[0], "")
                public = address(targets[0][0], self.view.version)
                self.result.publish.append(
                    _entry(
                        "publish",
                        f"publish-{host}",
                        {"addresses": [public], "host": host, "services": self._services(opening), "from": ["internet"]},
                    )
                )

    def _pair(self, come: str, go: str, packets: Set) -> None:
        source, target = self.result.zones.get(come, come), self.result.zones.get(go, go)
        if "" in {come, go} or "lo" in {come, go} or "*" in come + go or source == target:
            return
        space = self.view.space
        for proto, low, high in self._spans(packets):
            part = space.fix(packets, Field.PROTO, proto) & space.range(Field.DPORT, low, high)
            ends = [self._ends(part, Field.SRC, source), self._ends(part, Field.DST, target)]
            name = self._service(proto, low, high)
            label = f"{source}-to-{target}-{name}"[:36] + f"-{len(self.result.flows)}"
            self.result.flows.append(_entry("flows", label, {"from": ends[0], "to": ends[1], "services": [name]}))

    def _spans(self, packets: Set) -> Iterator[tuple[int, int, int]]:
        space = self.view.space
        for proto in (TCP, UDP):
            ranges = space.values(space.fix(packets, Field.PROTO, proto), Field.DPORT)
            if len(ranges) > MANY:
                self.result.notes.append(
                    f"{len(ranges)} ranges of {PROTOCOL_NAMES[proto]} ports became one from {ranges[0][0]} to {ranges[-1][1]}"
                )
                ranges = [(ranges[0][0], ranges[-1][1])]
            yield from ((proto, max(low, 1), high) for low, high in ranges if high)

    def _services(self, packets: Set) -> list[str]:
        return [self._service(*span) for span in self._spans(packets)]

    def _service(self, proto: int, low: int, high: int) -> str:
        known = WELL_KNOWN.get((proto, low))
        if known and low == high and known not in {"dns", "kerberos", "ldap", "rdp"}:
            return known
        name = f"{PROTOCOL_NAMES[proto]}-{low}" + (f"-{high}" if high != low else "")
        assert proto in PORT_PROTOCOLS
        self.result.services[name] = f"{PROTOCOL_NAMES[proto]} = [{low if low == high else f'''{chr(34)}{low}-{high}{chr(34)}'''}]"
        return name

    def _ends(self, packets: Set, which: Field, zone: str) -> list[str]:
        """The single addresses of one end as hosts; anything wider is the zone."""
        ranges = self.view.space.values(packets, which)
        single = all(low == high for low, high in ranges) and len(ranges) <= MANY
        if zone == FIREWALL or not single:
            return [zone]
        return [self._host(low, zone) for low, _ in ranges]

    def _host(self, number: int, zone: str) -> str:
        text = address(number, self.view.version)
        name = f"host-{text.replace('.', '-').replace(':', '-')}"
        if zone or name not in self.result.hosts:
            self.result.hosts[name] = (zone or self.result.hosts.get(name, ("", ""))[0], text)
        return name


def _entry(table: str, label: str, values: dict[str, list[str] | str]) -> str:
    lines = [f"[[{table}]]", f'id = "{label.lower()}"']
    for key, value in values.items():
        lines.append(
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = [{', '.join(f'{chr(34)}{one}{chr(34)}' for one in value)}]"
        )
    return "\n".join([*lines, f'reason = "{REASON}"', 'owner = "nobody yet"'])


def proposal_text(proposal: Proposal) -> str:
    """The proposal as TOML."""
    parts = ["# Proposed from imported rules. Every flow needs a reason and an owner; what nobody can explain should not be here."]
    parts += [f"# {note}" for note in proposal.notes]
    for name, zone in proposal.zones.items():
        more = (
            "external = true"
            if zone == "internet"
            else f"prefixes = [{', '.join(chr(34) + text + chr(34) for text in proposal.prefixes.get(name, []))}]"
        )
        parts.append(f'[zones.{zone}]\ninterfaces = ["{name}"]\n{more}')
    fallback = next((zone for zone in proposal.zones.values() if zone != "internet"), "internet")
    for name, (zone, text) in proposal.hosts.items():
        parts.append(f'[hosts.{name}]\nzone = "{zone or fallback}"\naddresses = ["{text}"]')
    parts += [f"[services.{name}]\n{text}" for name, text in proposal.services.items()]
    return "\n\n".join([*parts, *proposal.publish, *proposal.flows]) + "\n"


WHOLE = """[site]
name = "imported"
[mail]
domains = ["imported.invalid"]
next_hop = "192.0.2.1"
[mail.smtp]
listen = "127.0.0.1:10025"
[engines.clamav]
socket = "unix:/run/clamav/clamd.ctl"
"""
"""What a site file needs besides its network before the proposal can be compiled for the comparison."""
