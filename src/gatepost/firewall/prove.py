"""Shows that a rule set passes exactly what a policy declares, or gives a packet for which it does not.

What it does: compares what is loaded with what is meant, for both IP versions and for packets through, to and from the firewall, in every
connection state; checks the standing promises on what is loaded alone; gives each difference as a packet with the rule that decides it.
Not its job: reading listings (`nft_reader`, `iptables_reader`), explaining in sentences (`explain`).
Raises: nothing. It does no I/O and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from gatepost.firewall.catalogue import ALL_FLAGS, GOOD_FLAGS, NEIGHBOURS
from gatepost.firewall.declare import Allowed, End, Policy
from gatepost.firewall.formula import TCP, TRUE, Field, Formula, Name, Not, Packet, both, either, equal, flags, icmp_type, network, state
from gatepost.firewall.intent import Intent, impossible_outside, intent, interfaces, matching
from gatepost.firewall.ruleset import PATHS, Decision, Rewrite, Ruleset, follow
from gatepost.firewall.solve import Piece, Solver, before, image
from gatepost.firewall.space import Set, Space, names_in
from gatepost.firewall.words import address, few


class Outcome(IntEnum):
    """How a proof ends; the exit status of `gatepost firewall prove`."""

    PROVED = 0
    DIFFERENT = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """A packet that is treated otherwise than declared. `wanted` is what the policy says; `decision` is what the loaded rules do."""

    what: str
    path: str
    packet: Packet
    wanted: bool
    decision: Decision


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that must hold whatever the flows are; `packet` is the first that breaks it."""

    text: str
    path: str
    packet: Packet | None


@dataclass(frozen=True, slots=True)
class Proof:
    """The result: proved, or different with packets, or refused with what was not understood."""

    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    promises: tuple[Promise, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rules: int = 0
    nodes: int = 0


def prove(policy: Policy, ruleset: Ruleset) -> Proof:
    """Compare a rule set with a policy."""
    return _prove(intent(policy), ruleset, policy)


def prove_meaning(meant: Intent, ruleset: Ruleset) -> Proof:
    """Compare a rule set with a meaning alone; the standing promises are about a firewall's zones and are not asked."""
    return _prove(meant, ruleset, None)


def _prove(meant: Intent, ruleset: Ruleset, policy: Policy | None) -> Proof:
    if ruleset.refusals:
        return Proof(Outcome.REFUSED, refusals=tuple(ruleset.refusals), notes=tuple(ruleset.notes))
    names = names_in([*(rule.test for rule in ruleset.rules()), *meant.formulas(), Name(Field.IIF, "lo")])
    differences: list[Difference] = []
    promises: list[Promise] = []
    nodes = 0
    for version in (4, 6):
        comparison = _Comparison(meant, ruleset, Space(version, names))
        differences += comparison.differences()
        promises += _Promises(policy, comparison).promises() if policy else ()
        nodes += comparison.nodes
    broken = [promise for promise in promises if promise.packet]
    outcome = Outcome.DIFFERENT if differences or broken else Outcome.PROVED
    count = sum(1 for _ in ruleset.rules())
    return Proof(outcome, tuple(differences), tuple(_merged(promises)), (), tuple(ruleset.notes), count, nodes)


def _merged(promises: Iterable[Promise]) -> Iterator[Promise]:
    """Each promise once: broken, if it is broken for one IP version."""
    found: dict[tuple[str, str], Promise] = {}
    for promise in promises:
        kept = found.get((promise.text, promise.path))
        if kept is None or (kept.packet is None and promise.packet):
            found[(promise.text, promise.path)] = promise
    yield from found.values()


class _Comparison:
    """One IP version: the loaded rules and the meant policy in one space."""

    def __init__(self, meant: Intent, ruleset: Ruleset, space: Space) -> None:
        self.meant, self.ruleset, self.space = meant, ruleset, space
        self.solver = Solver(ruleset, space)
        self.loaded = {path: self.solver.passing(path, self._start(path)) for path in PATHS}
        self.passes = {path: space.union(piece.packets for piece in pieces) for path, pieces in self.loaded.items()}
        self.nodes = sum(packets.dag_size for packets in self.passes.values())

    def _start(self, path: str) -> Set:
        """The packets that can begin a path: a new connection has no translation and no helper yet; our own have no incoming side."""
        space = self.space
        new = space.of(state("new"))
        fresh = space.range(Field.TRANSLATED, 0, 0) & space.range(Field.HELPER, 0, 0)
        start = ~new | fresh
        if path == "input":
            start &= space.range(Field.OIF, 0, 0)
        if path == "output":
            start &= space.range(Field.IIF, 0, 0)
        return start & space.possible

    def _meant_pieces(self, path: str) -> list[Piece]:
        """The declared passage, composed with the declared translation."""
        space = self.space
        if path == "output":
            return [Piece(space.of(self.meant.output) & self._start(path), None)]
        left = space.of(self.meant.entry) & self._start(path)
        passes = space.of(self.meant.forward if path == "forward" else self.meant.input)
        new, pieces = space.of(state("new")), []
        for asked, rewrite in self.meant.published:
            hit = left & new & space.of(asked)
            left &= ~hit
            if hit != space.none:
                pieces.append(Piece(hit & before(space, rewrite, passes), rewrite))
        return [Piece(left & passes, None), *pieces]

    def differences(self) -> Iterator[Difference]:
        """Where the loaded rules pass too much or too little, translate otherwise, or hand packets to other helpers."""
        for path in PATHS:
            meant = self._meant_pieces(path)
            wanted = self.space.union(piece.packets for piece in meant)
            yield from self._difference(path, "passes, but is not declared", self.passes[path] & ~wanted, wanted=False)
            yield from self._difference(path, "is declared, but does not pass", wanted & ~self.passes[path], wanted=True)
            if path == "forward":
                yield from self._translations(meant)
                yield from self._sources(meant)
                yield from self._helpers(meant)

    def _difference(self, path: str, what: str, packets: Set, *, wanted: bool) -> Iterator[Difference]:
        packet = self.space.pick(packets)
        if packet is not None:
            yield Difference(what, path, packet, wanted, follow(self.ruleset, path, packet))

    def _translations(self, meant: list[Piece]) -> Iterator[Difference]:
        """Every passing packet must go to the declared address."""
        for rewrite in {piece.rewrite for piece in [*meant, *self.loaded["forward"]]}:
            ours = self.space.union(p.packets for p in self.loaded["forward"] if p.rewrite == rewrite)
            declared = self.space.union(p.packets for p in meant if p.rewrite == rewrite)
            where = describe_rewrite(rewrite, self.space.version)
            yield from self._difference("forward", f"is translated {where}, which is not declared", ours & ~declared, wanted=False)

    def _sources(self, meant: list[Piece]) -> Iterator[Difference]:
        space = self.space
        passing = space.union(image(space, piece) for piece in meant) & space.of(state("new"))
        loaded = self.solver.sources("forward", self.loaded["forward"])
        left = passing
        for asked, rewrite in self.meant.sources:
            declared = left & space.of(asked)
            left &= ~declared
            found = loaded.pop(rewrite, space.none) & passing
            rest = space.union(space.of(test) for test, other in self.meant.sources if other == rewrite)
            where = describe_rewrite(rewrite, space.version)
            yield from self._difference("forward", f"should leave {where}, but does not", declared & ~found, wanted=True)
            yield from self._difference("forward", f"leaves {where}, which is not declared", found & ~rest, wanted=False)
            loaded[rewrite] = found & ~declared
        for rewrite, packets in loaded.items():
            where = describe_rewrite(rewrite, space.version)
            yield from self._difference("forward", f"leaves {where}, which is not declared", packets & passing, wanted=False)

    def _helpers(self, meant: list[Piece]) -> Iterator[Difference]:
        """A helper opens further connections, so it must be given exactly the declared ones."""
        space = self.space
        reached = space.union(image(space, piece) for piece in meant)
        declared = {name: space.of(formula) & reached for name, formula in self.meant.helpers}
        loaded = {name: packets for name, packets in self.solver.effects.items() if name.startswith("helper ")}
        for name in declared.keys() | loaded.keys():
            ours, wanted = loaded.get(name, space.none), declared.get(name, space.none)
            yield from self._difference("forward", f"is given to the {name}, which is not declared", ours & ~wanted, wanted=False)
            yield from self._difference("forward", f"should be given to the {name}, but is not", wanted & ~ours, wanted=True)


class _Promises:
    """What must hold for one IP version, whatever the flows are."""

    def __init__(self, policy: Policy, comparison: _Comparison) -> None:
        self.policy, self.space, self.passes = policy, comparison.space, comparison.passes

    def promises(self) -> Iterator[Promise]:
        """The standing promises, checked on the loaded rules without the declared flows where that is possible."""
        spoofed, broken = self.space.of(_spoofed(self.policy)), self.space.of(_malformed())
        arriving = ~self.space.range(Field.IIF, 0, 0) & ~self.space.of(Name(Field.IIF, "lo"))
        for path in ("forward", "input"):
            passes = self.passes[path] & arriving
            yield self._promise(f"no packet with a forged source address gets {_TO[path]}", path, passes & spoofed)
            yield self._promise(f"no malformed packet or fragment gets {_TO[path]}", path, passes & broken)
            other = passes & self.space.of(state("invalid", "untracked")) & ~self.space.of(_discovery())
            yield self._promise(f"no packet outside a known or declared connection gets {_TO[path]}", path, other)
        yield from self._isolation()
        yield from self._relays()

    def _promise(self, text: str, path: str, packets: Set) -> Promise:
        return Promise(text, path, self.space.pick(packets))

    def _isolation(self) -> Iterator[Promise]:
        """From outside, only what is declared by name may begin; an inside address is reached only through its published one."""
        new, pairs = self.space.of(state("new")), self.policy.pairs()
        for outside, zone in self.policy.zones.items():
            if not zone.external:
                continue
            come = self.space.of(interfaces(self.policy, outside, Field.IIF)) & new
            for inside in self._inside(outside):
                go = self.space.of(interfaces(self.policy, inside, Field.OIF))
                items = pairs.get((outside, inside), [])
                allowed = self.space.union(map(self._arriving, items))
                names = sorted({item.id for item in items})
                text = f"nothing from {outside} begins a connection into {inside}" + (f", but {few(names)}" if names else "")
                yield self._promise(text, "forward", self.passes["forward"] & come & go & ~allowed)

    def _inside(self, outside: str) -> list[str]:
        return [name for name, zone in self.policy.zones.items() if name != outside and not zone.external]

    def _arriving(self, item: Allowed) -> Set:
        """The packets of a permission as they arrive: for a published service, those sent to its public address."""
        asked = self.space.of(matching(self.policy, item))
        if not item.public:
            return asked
        return self.space.union(
            self.space.of(network(Field.DST, net)) & before(self.space, _target(item.destination), asked)
            for net in item.public
            if net.version == self.space.version
        )

    def _relays(self) -> Iterator[Promise]:
        """A relay that is taken over reaches, inside, only the services declared for it."""
        for role, end in self.policy.roles:
            if role != "relay" or end.networks is None:
                continue
            here = self.space.union(self.space.of(network(Field.SRC, net)) for net in end.networks)
            come = here & self.space.of(interfaces(self.policy, end.zone, Field.IIF)) & self.space.of(state("new"))
            for inside in (name for name in self._inside(end.zone) if name != end.zone):
                items = [item for item in self.policy.allowed if item.destination.zone == inside and item.source.zone == end.zone]
                allowed = self.space.union(map(self._arriving, items))
                names = sorted({f"{item.destination.name} {one.service}" for item in items for one in item.traffic})
                go = self.space.of(interfaces(self.policy, inside, Field.OIF))
                text = f"{end.name} reaches in {inside} only: {few(names)}"
                yield self._promise(text, "forward", self.passes["forward"] & come & go & ~allowed)


_TO = {"forward": "through the firewall", "input": "to the firewall itself"}


def _target(end: End) -> Rewrite:
    assert end.networks
    number = int(end.networks[0].network_address)
    return Rewrite("dnat", (number, number))


def _discovery() -> Formula:
    return either(icmp_type(6, number) for number in NEIGHBOURS)


def _malformed() -> Formula:
    bad = both(equal(Field.PROTO, TCP), Not(either(flags(ALL_FLAGS, value) for value in GOOD_FLAGS)))
    return either([equal(Field.FRAGMENT, 1), bad])


def _spoofed(policy: Policy) -> Formula:
    """Sources that cannot be honest on the side they come from; neighbour discovery uses link-local addresses."""
    parts = []
    for name, zone in policy.zones.items():
        here = interfaces(policy, name, Field.IIF)
        if zone.external:
            nets = [net for version in (4, 6) for net in impossible_outside(policy, version)]
            parts.append(both(here, either(network(Field.SRC, net) for net in nets)))
        else:
            parts.append(both(here, Not(either(network(Field.SRC, text) for text in zone.prefixes))))
    parts.append(either(network(Field.SRC, net) for net in policy.own))
    return both(either(parts), Not(_discovery()), TRUE)


def describe_rewrite(rewrite: Rewrite | None, version: int) -> str:
    """A translation in words."""
    if rewrite is None:
        return "nowhere"
    if rewrite.kind == "masquerade":
        return "with the address of the outgoing interface"
    return f"{'from' if rewrite.kind == 'snat' else 'to'} {address(rewrite.address[0], version) if rewrite.address else 'this host'}"
