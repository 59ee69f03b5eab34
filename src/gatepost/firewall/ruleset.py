"""A rule set as read from a kernel or a file: chains of rules, and what a rule does; and the way of one packet through it.

What it does: holds what both readers produce, and follows a single packet to the rule that decides it.
Not its job: reading (`nft_reader`, `iptables_reader`), sets of packets (`solve`).
Raises: nothing; what a reader could not understand stands in `Ruleset.refusals`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gatepost.firewall.formula import TRUE, Formula, Packet, family, holds


class Verdict(StrEnum):
    """What a rule does with a packet that meets it."""

    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"
    TRANSLATE = "translate"
    CONTINUE = "continue"


class Hook(StrEnum):
    """Where in the kernel a base chain sees packets."""

    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


PATHS: dict[str, tuple[Hook, ...]] = {
    "forward": (Hook.PREROUTING, Hook.FORWARD, Hook.POSTROUTING),
    "input": (Hook.PREROUTING, Hook.INPUT),
    "output": (Hook.OUTPUT, Hook.POSTROUTING),
}
"""The hooks a packet passes: through the firewall, to it, and from it."""


TRACKED = -200
"""The priority at which the kernel looks a packet's connection up."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A translation of addresses or ports: `kind` dnat, snat, masquerade or redirect; ranges of numbers, None where nothing changes."""

    kind: str
    address: tuple[int, int] | None = None
    port: tuple[int, int] | None = None

    @property
    def exact(self) -> bool:
        """True when every packet gets the same new header."""
        return all(pair is None or pair[0] == pair[1] for pair in (self.address, self.port))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `label` is its comment (in Gatepost's own rules the id of the declared flow), `text` the rule as listed."""

    test: Formula
    verdict: Verdict
    target: str = ""
    rewrite: Rewrite | None = None
    effects: tuple[str, ...] = ()
    label: str = ""
    text: str = ""
    line: int = 0


@dataclass(slots=True)
class Chain:
    """A chain; with a `hook` it is a base chain and has a policy."""

    table: str
    family: str
    name: str
    rules: list[Rule] = field(default_factory=list)
    hook: Hook | None = None
    kind: str = "filter"
    priority: int = 0
    policy: Verdict = Verdict.ACCEPT

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells this chain from all others."""
        return (self.family, self.table, self.name)

    @property
    def untracked(self) -> bool:
        """Whether the chain sees packets before connection tracking does (NF_IP_PRI_CONNTRACK): every state is "invalid" there."""
        return self.hook in {Hook.PREROUTING, Hook.OUTPUT} and self.priority < TRACKED

    @property
    def families(self) -> Formula:
        """Which IP versions the chain sees."""
        return {"ip": family(4), "ip6": family(6)}.get(self.family, TRUE)


@dataclass(slots=True)
class Ruleset:
    """All chains of a host. `refusals` name what makes a certificate impossible, `notes` what was read with a reservation."""

    chains: dict[tuple[str, str, str], Chain] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, chain: Chain) -> Chain:
        """Take a chain in, or give the one already known by that name."""
        return self.chains.setdefault(chain.key, chain)

    def base(self, path: str) -> list[Chain]:
        """The base chains that packets on a path meet, in the kernel's order."""
        hooks = PATHS[path]
        found = [chain for chain in self.chains.values() if chain.hook in hooks]
        return sorted(found, key=lambda chain: (hooks.index(chain.hook) if chain.hook else 0, chain.priority))

    def rules(self) -> Iterator[Rule]:
        """Every rule of every chain."""
        for chain in self.chains.values():
            yield from chain.rules


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one packet, and which rule says so; no rule means that the policy of `chain` decided."""

    accepted: bool
    chain: str
    rule: Rule | None
    packet: Packet


def translate(rewrite: Rewrite, packet: Packet) -> Packet:
    """The packet after a translation; ranges give their first value."""
    source = rewrite.kind in {"snat", "masquerade"}
    changes: dict[str, object] = {} if source else {"translated": True}
    if rewrite.address:
        changes["src" if source else "dst"] = rewrite.address[0]
    if rewrite.port:
        changes["sport" if source else "dport"] = rewrite.port[0]
    return replace(packet, **changes)  # type: ignore[arg-type]


def follow(ruleset: Ruleset, path: str, packet: Packet) -> Decision:
    """The way of one packet through all base chains of a path, to the rule that decides it."""
    last = Decision(accepted=True, chain="", rule=None, packet=packet)
    for chain in ruleset.base(path):
        if not holds(chain.families, packet) or (chain.kind == "nat" and packet.state != "new"):
            continue
        seen = replace(packet, state="invalid", translated=False, helper="") if chain.untracked else packet
        verdict, rule = _walk(ruleset, chain, seen)
        verdict = chain.policy if verdict is Verdict.RETURN else verdict
        if verdict is Verdict.DROP:
            return Decision(accepted=False, chain=chain.name, rule=rule, packet=packet)
        if verdict is Verdict.TRANSLATE and rule and rule.rewrite:
            packet = translate(rule.rewrite, packet)
        if rule is not None or chain.policy is Verdict.ACCEPT:
            kept = rule if rule is not None and (chain.kind == "filter" or last.rule is None) else last.rule
            last = Decision(accepted=True, chain=chain.name if kept is rule else last.chain, rule=kept, packet=packet)
    return replace(last, packet=packet)


def _walk(ruleset: Ruleset, chain: Chain, packet: Packet) -> tuple[Verdict, Rule | None]:
    """The verdict of one chain; RETURN when the packet falls out of its end."""
    for rule in chain.rules:
        if rule.verdict is Verdict.CONTINUE or not holds(rule.test, packet):
            continue
        if rule.verdict not in {Verdict.JUMP, Verdict.GOTO}:
            return rule.verdict, rule
        called = ruleset.chains[(chain.family, chain.table, rule.target)]
        verdict, deciding = _walk(ruleset, called, packet)
        if verdict is not Verdict.RETURN:
            return verdict, deciding
        if rule.verdict is Verdict.GOTO:
            return Verdict.RETURN, deciding
    return Verdict.RETURN, None
