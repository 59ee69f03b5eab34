"""Sets of packets as binary decision diagrams, behind a small interface of our own.

What it does: turns formulas into diagrams over the header bits of one IP version, in a fixed order of variables; picks packets out of sets,
and reads the values of a field out of a set.
Not its job: rules and their order (`solve`).
Raises: nothing of its own; CUDD raises MemoryError.

Reordering is off: with it, the proof of 20,000 flows took ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dd import cudd

from gatepost.firewall.formula import (
    PORT_PROTOCOLS,
    STATES,
    TCP,
    And,
    Bits,
    Field,
    Formula,
    Name,
    Not,
    Or,
    Packet,
    Range,
    Unknown,
    leaves,
    matches_name,
)

Set = Any
"""A set of packets: a node of CUDD, which publishes no types."""

_ICMP = (1, 58)
_NAMED = (Field.IIF, Field.OIF, Field.HELPER)


def names_in(formulas: Iterable[Formula]) -> dict[Field, tuple[str, ...]]:
    """All interface and helper names that the formulas use; a diagram must know them before it is built."""
    found: dict[Field, set[str]] = {Field.IIF: set(), Field.OIF: set(), Field.HELPER: set()}
    for formula in formulas:
        for leaf in leaves(formula):
            if isinstance(leaf, Name):
                found[leaf.field].add(leaf.pattern)
    interfaces = found[Field.IIF] | found[Field.OIF]
    return {Field.IIF: tuple(sorted(interfaces)), Field.OIF: tuple(sorted(interfaces)), Field.HELPER: tuple(sorted(found[Field.HELPER]))}


class Space:
    """All packets of one IP version. Interfaces that no rule names are one: ""."""

    def __init__(self, version: int, names: Mapping[Field, tuple[str, ...]]) -> None:
        """Order the variables as the rules test them; `version` is 4 or 6."""
        self.version = version
        # A pattern such as "eth*" also stands for an interface of its own: any that begins so and is not named.
        self.names = {which: ("", *(name for name in names.get(which, ()) if name)) for which in _NAMED}
        address = 32 if version == 4 else 128  # noqa: PLR2004 - bits of an address
        named = {which: max(1, (len(self.names[which]) - 1).bit_length()) for which in _NAMED}
        self.width: dict[Field, int] = {
            Field.IIF: named[Field.IIF],
            Field.OIF: named[Field.OIF],
            Field.STATE: 3,
            Field.TRANSLATED: 1,
            Field.HELPER: named[Field.HELPER],
            Field.PROTO: 8,
            Field.DPORT: 16,
            Field.DST: address,
            Field.SRC: address,
            Field.SPORT: 16,
            Field.FLAGS: 6,
            Field.FRAGMENT: 1,
        }
        self.bdd = cudd.BDD(memory_estimate=1 << 30)
        self.bdd.configure(reordering=False)
        self.all, self.none = self.bdd.true, self.bdd.false
        self._bits: dict[Field, list[Set]] = {}
        for which, width in self.width.items():
            self.bdd.declare(*self.variables(which))
            self._bits[which] = [self.bdd.var(f"{which}{index}") for index in range(width)]
        self._unknown: dict[str, str] = {}
        self._ranges: dict[tuple[Field, int, int], Set] = {}
        self.possible = self._possible()

    def variables(self, *fields: Field) -> list[str]:
        """The variables that hold these fields."""
        return [f"{which}{index}" for which in fields for index in range(self.width[which])]

    def union(self, sets: Iterable[Set]) -> Set:
        """One set of them all; in pairs, because growing one by one is quadratic."""
        pending = list(sets)
        while len(pending) > 1:
            paired = [pending[i] | pending[i + 1] for i in range(0, len(pending) - 1, 2)]
            pending = paired + pending[len(paired) * 2 :]
        return pending[0] if pending else self.none

    def range(self, which: Field, low: int, high: int) -> Set:
        """The packets whose field lies between `low` and `high`."""
        if which is Field.FAMILY:
            return self.all if low <= self.version <= high else self.none
        key = (which, low, high)
        if key not in self._ranges:
            self._ranges[key] = self._compare(which, max(low, 0), min(high, (1 << self.width[which]) - 1))
        return self._ranges[key]

    def _compare(self, which: Field, low: int, high: int) -> Set:
        if low >= high:
            return self._mask(which, (1 << self.width[which]) - 1, low) if low == high else self.none
        above = below = self.all
        for place, bit in enumerate(reversed(self._bits[which])):
            above = bit & above if low >> place & 1 else bit | above
            below = ~bit | below if high >> place & 1 else ~bit & below
        return above & below

    def _mask(self, which: Field, mask: int, value: int) -> Set:
        if value & ~mask:
            return self.none
        result = self.all
        for place, bit in enumerate(reversed(self._bits[which])):
            if mask >> place & 1:
                result &= bit if value >> place & 1 else ~bit
        return result

    def _named(self, which: Field, pattern: str) -> Set:
        known = self.names[which]
        if not pattern.endswith("*"):
            return self.range(which, known.index(pattern), known.index(pattern)) if pattern in known else self.none
        return self.union(self.range(which, i, i) for i, name in enumerate(known) if matches_name(pattern, name))

    def _unknown_variable(self, text: str) -> Set:
        if text not in self._unknown:
            self._unknown[text] = f"u{len(self._unknown)}"
            self.bdd.declare(self._unknown[text])
        return self.bdd.var(self._unknown[text])

    def of(self, formula: Formula) -> Set:  # noqa: PLR0911 - one return for each kind of formula
        """The packets that meet a formula."""
        match formula:
            case Range(which, low, high):
                return self.range(which, low, high)
            case Bits(which, mask, value):
                return self._mask(which, mask, value)
            case Name(which, pattern):
                return self._named(which, pattern)
            case Unknown(text):
                return self._unknown_variable(text)
            case And(parts):
                return self._all_of(parts)
            case Or(parts):
                return self.union(self.of(part) for part in parts)
            case Not(part):
                return ~self.of(part)

    def _all_of(self, parts: tuple[Formula, ...]) -> Set:
        # The family first: an IPv6 address has no meaning in the IPv4 space.
        for part in parts:
            if isinstance(part, Range) and part.field is Field.FAMILY and self.range(*_triple(part)) == self.none:
                return self.none
        result = self.all
        # Backwards along the order of the variables: each conjunction then only adds nodes on top.
        for part in reversed(parts):
            result = self.of(part) & result
            if result == self.none:
                return result
        return result

    def _possible(self) -> Set:
        """Packets that can exist: ports, types and flags only where the protocol has them; values that have a name."""
        has_ports = self.union(self.range(Field.PROTO, p, p) for p in PORT_PROTOCOLS)
        is_icmp = self.union(self.range(Field.PROTO, p, p) for p in _ICMP)
        no_ports = self.range(Field.DPORT, 0, 0) & self.range(Field.SPORT, 0, 0)
        short = self.range(Field.DPORT, 0, 255) & self.range(Field.SPORT, 0, 255)
        named = self.all
        for which in _NAMED:
            named &= self.range(which, 0, len(self.names[which]) - 1)
        return (
            named
            & self.range(Field.STATE, 0, len(STATES) - 1)
            & (has_ports | (is_icmp & short) | (~is_icmp & no_ports))
            & (self.range(Field.PROTO, TCP, TCP) | self.range(Field.FLAGS, 0, 0))
        )

    def without_unknown(self, packets: Set, *, surely: bool) -> Set:
        """Packets in the set whatever the undecided conditions are (`surely`), or for some of their values."""
        variables = list(self._unknown.values())
        if not variables:
            return packets
        return self.bdd.forall(variables, packets) if surely else self.bdd.exist(variables, packets)

    def forget(self, packets: Set, *fields: Field) -> Set:
        """The set with these fields free."""
        return self.bdd.exist(self.variables(*fields), packets)

    def fix(self, packets: Set, which: Field, value: int) -> Set:
        """The set as seen by packets whose field has become `value`: a translation, backwards."""
        width = self.width[which]
        return self.bdd.let({f"{which}{index}": bool(value >> (width - 1 - index) & 1) for index in range(width)}, packets)

    def pick(self, packets: Set) -> Packet | None:
        """One packet of the set, a plain one where there is a choice; None when the set is empty."""
        packets = packets & self.possible
        if packets == self.none:
            return None
        for preference in self._plain():
            packets = packets & preference if packets & preference != self.none else packets
        care = self.variables(*self.width) + list(self._unknown.values())
        return self._packet(self.bdd.pick(packets, care_vars=care))

    def _plain(self) -> list[Set]:
        """What a reader of a counter-example expects to see, most wanted first."""
        public = 0xC6336442 if self.version == 4 else 0x20010DB8_00660000_00000000_00000066  # noqa: PLR2004 - IP version
        unknown = [~self.bdd.var(name) for name in self._unknown.values()]
        return [
            self.range(Field.STATE, 0, 0),
            self.range(Field.FRAGMENT, 0, 0),
            ~self.range(Field.IIF, 0, 0),
            ~self.range(Field.OIF, 0, 0),
            *unknown,
            self.range(Field.HELPER, 0, 0),
            self.range(Field.PROTO, TCP, TCP),
            self.range(Field.FLAGS, 2, 2),
            self.range(Field.SPORT, 40000, 40000),
            self.range(Field.SRC, public, public),
            self._mask(Field.SRC, 255, 100),
            self.range(Field.DST, public + 14, public + 14),
            self._mask(Field.DST, 255, 80),
        ]

    def _packet(self, values: Mapping[str, bool]) -> Packet:
        def number(which: Field) -> int:
            return int("".join("1" if values[name] else "0" for name in self.variables(which)), 2)

        named = {which: self.names[which][number(which)] for which in _NAMED}
        return Packet(
            iif=named[Field.IIF],
            oif=named[Field.OIF],
            state=STATES[number(Field.STATE)],
            translated=bool(number(Field.TRANSLATED)),
            helper=named[Field.HELPER],
            family=self.version,
            proto=number(Field.PROTO),
            src=number(Field.SRC),
            dst=number(Field.DST),
            sport=number(Field.SPORT),
            dport=number(Field.DPORT),
            flags=number(Field.FLAGS),
            fragment=bool(number(Field.FRAGMENT)),
            holds=frozenset(text for text, name in self._unknown.items() if values[name]),
        )

    def values(self, packets: Set, which: Field) -> list[tuple[int, int]]:
        """The values of one field in the set, as ranges in rising order."""
        others = [other for other in self.width if other is not which]
        only = self.bdd.exist(self.variables(*others) + list(self._unknown.values()), packets)
        found: list[tuple[int, int]] = []
        self._collect(only, which, 0, 0, found)
        merged: list[tuple[int, int]] = []
        for low, high in found:
            if merged and merged[-1][1] + 1 == low:
                merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return merged

    def _collect(self, node: Set, which: Field, index: int, base: int, found: list[tuple[int, int]]) -> None:
        if node == self.none:
            return
        rest = self.width[which] - index
        if node == self.all:
            found.append((base, base + (1 << rest) - 1))
            return
        low, high = (node.low, node.high) if node.var == f"{which}{index}" else (node, node)
        # CUDD keeps one node for a set and its complement; an edge says which is meant.
        if node.negated and low is not node:
            low, high = ~low, ~high
        self._collect(low, which, index + 1, base, found)
        self._collect(high, which, index + 1, base + (1 << (rest - 1)), found)


def _triple(part: Range) -> tuple[Field, int, int]:
    return part.field, part.low, part.high
