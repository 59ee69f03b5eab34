"""What a whole rule set does with all packets at once.

What it does: runs sets of packets through the chains of every table in the kernel's order, destination translation before the filters,
and gives the set that passes in terms of the packet as it arrives.
Not its job: what should pass (`intent`), comparing (`prove`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from gatepost.firewall.formula import STATES, Field, equal
from gatepost.firewall.ruleset import Chain, Rewrite, Rule, Ruleset, Verdict
from gatepost.firewall.space import Set, Space

_ENDING = {Verdict.ACCEPT, Verdict.DROP, Verdict.RETURN}


@dataclass(slots=True)
class Outcome:
    """What one chain does with the packets it was given: disjoint sets; what is in none of them is dropped."""

    accepted: Set
    rest: Set
    translated: list[tuple[Set, Rewrite]]


@dataclass(frozen=True, slots=True)
class _Found:
    """The parts of an outcome; joined at the end, because growing one large set many times is slow."""

    accepted: list[Set] = field(default_factory=list)
    rest: list[Set] = field(default_factory=list)
    translated: list[tuple[Set, Rewrite]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Piece:
    """The packets, as they arrive, that get one and the same translation (None: none)."""

    packets: Set
    rewrite: Rewrite | None


class Solver:
    """One rule set in one space."""

    def __init__(self, ruleset: Ruleset, space: Space) -> None:
        """Nothing is computed yet. `effects` and `falling` (what no rule of a base chain decides) fill with `passing`."""
        self.ruleset = ruleset
        self.space = space
        self.effects: dict[str, Set] = {}
        self.falling: dict[tuple[str, str, str], Set] = {}
        self._runs: dict[tuple[str, str, str], list[tuple[Set, Rule]]] = {}

    def _compiled(self, chain: Chain) -> list[tuple[Set, Rule]]:
        """The rules of a chain as sets; neighbours with the same end are one, since order does not matter between them."""
        if chain.key not in self._runs:
            self._runs[chain.key] = list(self._merge(chain.rules))
        return self._runs[chain.key]

    def _merge(self, rules: Iterable[Rule]) -> Iterator[tuple[Set, Rule]]:
        def kind(rule: Rule) -> str:
            return rule.verdict if rule.verdict in _ENDING and not rule.effects else str(id(rule))

        for _, group in groupby(rules, key=kind):
            same = list(group)
            if same[0].verdict is not Verdict.CONTINUE or same[0].effects:
                yield self.space.union(self.space.of(rule.test) for rule in same), same[0]

    def run(self, chain: Chain, packets: Set) -> Outcome:
        """Send a set of packets through one chain."""
        none = self.space.none
        found = _Found()
        left = packets
        for test, rule in self._compiled(chain):
            hit = left & test
            if hit == none:
                continue
            for effect in rule.effects:
                self.effects[effect] = self.effects.get(effect, none) | hit
            if rule.verdict is Verdict.CONTINUE:
                continue
            left = (left & ~test) | self._apply(chain, rule, hit, found)
            if left == none:
                break
        found.rest.append(left)
        return Outcome(self.space.union(found.accepted), self.space.union(found.rest), found.translated)

    def _apply(self, chain: Chain, rule: Rule, hit: Set, found: _Found) -> Set:
        """Add what a rule does with the packets that meet it; give back those that go on to the next rule."""
        match rule.verdict:
            case Verdict.ACCEPT:
                found.accepted.append(hit)
            case Verdict.RETURN:
                found.rest.append(hit)
            case Verdict.TRANSLATE:
                assert rule.rewrite
                found.translated.append((hit, rule.rewrite))
            case Verdict.JUMP | Verdict.GOTO:
                inner = self.run(self.ruleset.chains[(chain.family, chain.table, rule.target)], hit)
                found.accepted.append(inner.accepted)
                found.translated.extend(inner.translated)
                if rule.verdict is Verdict.JUMP:
                    return inner.rest
                found.rest.append(inner.rest)
        return self.space.none

    def passing(self, path: str, packets: Set) -> list[Piece]:
        """What of these packets passes all base chains of a path, split by destination translation."""
        pieces = [Piece(packets & self.space.possible, None)]
        for chain in self.ruleset.base(path):
            step = self._translating if chain.kind == "nat" else self._filtering
            pieces = [new for piece in pieces for new in step(chain, piece) if new.packets != self.space.none]
        return pieces

    def _filtering(self, chain: Chain, piece: Piece) -> list[Piece]:
        if chain.untracked:
            return [Piece(piece.packets & self._blind(chain, piece.packets), piece.rewrite)]
        families = self.space.of(chain.families)
        seen = image(self.space, piece) & families
        outcome = self.run(chain, seen)
        self.falling[chain.key] = self.falling.get(chain.key, self.space.none) | outcome.rest
        accepted = outcome.accepted | (outcome.rest if chain.policy is Verdict.ACCEPT else self.space.none) | ~families
        return [Piece(piece.packets & before(self.space, piece.rewrite, accepted), piece.rewrite)]

    def _blind(self, chain: Chain, packets: Set) -> Set:
        """What a chain before connection tracking accepts, in terms of the packets with their later state."""
        space = self.space
        tracking = {Field.STATE: STATES.index("invalid"), Field.TRANSLATED: 0, Field.HELPER: 0}
        seen = space.forget(packets, *tracking)
        for which, value in tracking.items():
            seen &= space.range(which, value, value)
        families = space.of(chain.families)
        outcome = self.run(chain, seen & families)
        accepted = outcome.accepted | (outcome.rest if chain.policy is Verdict.ACCEPT else space.none) | ~families
        for which, value in tracking.items():
            accepted = space.fix(accepted, which, value)
        return accepted

    def _translating(self, chain: Chain, piece: Piece) -> list[Piece]:
        """NAT chains see only the first packet of a connection; what they translate becomes a piece of its own."""
        first = self.space.of(equal(Field.STATE, 0)) & self.space.of(chain.families)
        outcome = self.run(chain, image(self.space, piece) & first)
        kept = outcome.accepted | (outcome.rest if chain.policy is Verdict.ACCEPT else self.space.none) | ~first
        result = []
        for packets, rewrite in outcome.translated:
            if rewrite.kind in {"snat", "masquerade"}:
                kept |= packets
            else:
                result.append(Piece(piece.packets & before(self.space, piece.rewrite, packets), rewrite))
        return [Piece(piece.packets & before(self.space, piece.rewrite, kept), piece.rewrite), *result]

    def sources(self, path: str, pieces: Iterable[Piece]) -> dict[Rewrite, Set]:
        """Which of the passing packets get which source address (in terms of the packet after destination translation)."""
        found: dict[Rewrite, Set] = {}
        first = self.space.of(equal(Field.STATE, 0))
        for chain in self.ruleset.base(path):
            if chain.kind != "nat":
                continue
            for piece in pieces:
                for packets, rewrite in self.run(chain, image(self.space, piece) & first & self.space.of(chain.families)).translated:
                    if rewrite.kind in {"snat", "masquerade"}:
                        found[rewrite] = found.get(rewrite, self.space.none) | packets
        return found


def image(space: Space, piece: Piece) -> Set:
    """The packets of a piece as they look after their translation."""
    rewrite = piece.rewrite
    if rewrite is None:
        return piece.packets
    packets = space.forget(piece.packets, Field.TRANSLATED) & space.range(Field.TRANSLATED, 1, 1)
    if rewrite.address:
        packets = space.forget(packets, Field.DST) & space.range(Field.DST, *rewrite.address)
    if rewrite.kind == "redirect":
        packets = space.forget(packets, Field.DST)
    if rewrite.port:
        packets = space.forget(packets, Field.DPORT) & space.range(Field.DPORT, *rewrite.port)
    return packets


def before(space: Space, rewrite: Rewrite | None, packets: Set) -> Set:
    """The packets that a translation turns into members of this set."""
    if rewrite is None:
        return packets
    packets = space.fix(packets, Field.TRANSLATED, 1)
    if rewrite.port:
        packets = _back(space, packets, Field.DPORT, rewrite.port)
    if rewrite.address:
        packets = _back(space, packets, Field.DST, rewrite.address)
    if rewrite.kind == "redirect":
        packets = space.forget(packets, Field.DST)
    return packets


def _back(space: Space, packets: Set, which: Field, values: tuple[int, int]) -> Set:
    low, high = values
    if low == high:
        return space.fix(packets, which, low)
    return space.forget(packets & space.range(which, low, high), which)
