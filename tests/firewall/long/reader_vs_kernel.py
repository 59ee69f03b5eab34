"""Random rule sets and random packets: what the readers and the two checkers say, against what the kernel does.

`python -m tests.firewall.long.reader_vs_kernel [PACKETS] [SEED] [nft|nft-iptables|legacy-iptables]`; needs root and that program. Prints
each disagreement and a summary.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace

from gatepost.firewall.formula import Packet
from gatepost.firewall.iptables_reader import read_save
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.reading import merged
from gatepost.firewall.ruleset import Ruleset, follow
from gatepost.firewall.solve import Solver
from gatepost.firewall.space import Space, names_in
from gatepost.firewall.words import packet_text
from tests.support.netlab import Bench, Seen, bench, route
from tests.support.rulegrammar import Grammar
from tests.support.savegrammar import SavedGrammar

BATCH = 500


@dataclass
class Tally:
    rulesets: int = 0
    packets: int = 0
    passed: int = 0
    translated: int = 0
    skipped: int = 0
    wrong: list[str] = field(default_factory=list)


def predicted(ruleset: Ruleset, packet: Packet, local: bool) -> tuple[bool, Packet]:
    """What the single-packet checker says; the way out follows from the address after translation, as in the kernel."""
    first = follow(ruleset, "input" if local else "forward", packet)
    where, here = route(first.packet.dst, packet.family)
    if (where, here) != (packet.oif or where, local):
        packet = replace(packet, oif="" if here else where)
        first = follow(ruleset, "input" if here else "forward", packet)
    return first.accepted, first.packet


def diagrams(ruleset: Ruleset) -> dict[tuple[int, str], tuple[Space, object]]:
    """What the set-based checker says passes, by IP version and path."""
    names = names_in(rule.test for rule in ruleset.rules())
    # Interfaces that no rule names are one to the diagram.
    result = {}
    for version in (4, 6):
        space = Space(version, names)
        solver = Solver(ruleset, space)
        for path in ("forward", "input"):
            result[(version, path)] = (space, space.union(piece.packets for piece in solver.passing(path, space.possible)))
    return result


def member(space: Space, packets, packet: Packet) -> bool:
    values = {}
    for which, width in space.width.items():
        if which in space.names:
            names = space.names[which]
            text = getattr(packet, which.value)
            number = (
                names.index(text)
                if text in names
                else next((i for i, n in enumerate(names) if n.endswith("*") and text.startswith(n[:-1])), 0)
            )
        else:
            number = packet.number(which)
        values |= {f"{which}{i}": bool(number >> (width - 1 - i) & 1) for i in range(width)}
    values |= {name: text in packet.holds for text, name in space._unknown.items()}
    return space.bdd.let(values, packets) == space.bdd.true


def loaded(lab: Bench, grammar: Grammar, kind: str) -> tuple[Ruleset, str]:
    """A random rule set that the kernel has taken, as the reader reads it back, and its text."""
    if not isinstance(grammar, SavedGrammar):
        text = grammar.ruleset()
        return read_nft(lab.load(text)), text
    read, texts = [], []
    lab.inside("conntrack", "-F")
    variant = kind.removesuffix("-iptables")
    for version, program in ((4, "iptables"), (6, "ip6tables")):
        for table, chain in (("mangle", "PREROUTING"), ("nat", "PREROUTING")):
            lab.inside(f"{program}-{variant}", "-t", table, "-F", chain)
        lab.inside(f"{program}-{variant}-restore", text=grammar.saved(version))
        texts.append(lab.inside(f"{program}-{variant}-save"))
        read.append(read_save(texts[-1], version))
    return merged(*read), "\n".join(texts)


def check(lab: Bench, kind: str, grammar: Grammar, count: int, tally: Tally) -> None:
    ruleset, text = loaded(lab, grammar, kind)
    sets = diagrams(ruleset)
    tally.rulesets += 1
    for start in range(0, count, BATCH):
        packets = [grammar.packet(number) for number in range(start, start + BATCH)]
        for (packet, local), seen in zip(packets, lab.send([p for p, _ in packets]), strict=True):
            # Any packet of ours has a length, so this condition of the grammar is true.
            known = replace(packet, holds=frozenset(leaf_texts(ruleset)))
            judge(ruleset, sets, known, local, seen, tally, text)


def leaf_texts(ruleset: Ruleset) -> list[str]:
    from gatepost.firewall.formula import Unknown, leaves

    return [leaf.text for rule in ruleset.rules() for leaf in leaves(rule.test) if isinstance(leaf, Unknown)]


def judge(ruleset, sets, packet, local, seen: Seen | None, tally: Tally, text: str) -> None:
    tally.packets += 1
    accepted, after = predicted(ruleset, packet, local)
    tally.passed += seen is not None
    tally.translated += after.dst != packet.dst
    where, here = route(after.dst, packet.family)
    wire = replace(packet, oif="" if here else where)
    space, passing = sets[(packet.family, "input" if here else "forward")]
    says = [
        f"kernel {'passes' if seen else 'drops'}",
        f"follow {'passes' if accepted else 'drops'}",
        f"diagram {'passes' if member(space, passing, wire) else 'drops'}",
    ]
    agree = len({word.split()[1] for word in says}) == 1
    if agree and seen and seen.side != "local" and (seen.dst, seen.side) != (after.dst, where):
        agree, says = False, [*says, f"came out of {seen.side}"]
    if not agree:
        tally.wrong.append(f"{'; '.join(says)}: {packet_text(replace(packet, holds=frozenset()))}\n{text}")


def run(packets: int, seed: int = 1, each: int = 1000, kind: str = "nft") -> Tally:
    """Send so many packets over random rule sets of one kind."""
    tally = Tally()
    with bench() as lab:
        while tally.packets < packets:
            grammar = (Grammar if kind == "nft" else SavedGrammar)(seed * 1_000_003 + tally.rulesets)
            check(lab, kind, grammar, min(each, packets), tally)
    return tally


if __name__ == "__main__":
    begun = time.monotonic()
    done = run(
        int(sys.argv[1]) if len(sys.argv) > 1 else 100_000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 1,
        kind=sys.argv[3] if len(sys.argv) > 3 else "nft",
    )
    for one in done.wrong[:20]:
        print(one)
    print(
        f"{done.packets} packets over {done.rulesets} rule sets in {time.monotonic() - begun:.0f} s: {done.passed} passed, {done.translated} translated, {len(done.wrong)} disagreements"
    )
    sys.exit(bool(done.wrong))
