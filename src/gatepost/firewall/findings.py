"""What is wrong with a rule set that somebody else wrote: patterns that every administrator meets sooner or later.

What it does: judges what a rule set really does (not how it looks), and names the lines.
Not its job: describing what passes (`sentences`), comparing with a policy (`prove`).
Raises: nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gatepost.firewall.catalogue import BOGONS4, bogons, collapse
from gatepost.firewall.formula import (
    ICMP,
    ICMP6,
    TCP,
    UDP,
    Field,
    Formula,
    Name,
    Not,
    Range,
    Unknown,
    both,
    either,
    flags,
    icmp_type,
    leaves,
    network,
    state,
)
from gatepost.firewall.ruleset import Chain, Rewrite, Rule, Verdict
from gatepost.firewall.sentences import View, ranges_text
from gatepost.firewall.solve import Piece, image
from gatepost.firewall.space import Set
from gatepost.firewall.words import address, few, listing

MOST_RULES = 1500
"""Dead rules are looked for rule by rule, which takes too long in larger sets."""
WIDE = 10_000
"""So many open ports are not a service but a hole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect: what it is, why it matters, and the lines it stands in."""

    name: str
    text: str
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        """The finding with its lines."""
        where = f" (line {listing(map(str, self.lines))})" if self.lines else ""
        return f"{self.text}{where}"


def findings(view: View) -> Iterator[Finding]:
    """All defects of one rule set in one IP version."""
    for check in (_policies, _one_way, _translations, _spoofing, _malformed, _wide, _active_ftp, _dns, _errors, _silent_host):
        yield from check(view)
    for check in (_wrong_side, _logs, _unlimited):
        yield from check(view)
    if sum(1 for _ in view.ruleset.rules()) <= MOST_RULES:
        yield from _dead(view)


def _lines(rules: list[Rule]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(rule.line for rule in rules if rule.line))


def outside(view: View) -> str:
    """The interface that faces the internet: where sources are translated going out, or destinations coming in."""
    for chain in view.ruleset.chains.values():
        name = _translating(chain)
        if name:
            return name
    return ""


def _translating(chain: Chain) -> str:
    for rule in chain.rules:
        if rule.verdict is Verdict.TRANSLATE and rule.rewrite:
            wanted = Field.OIF if rule.rewrite.kind in {"snat", "masquerade"} else Field.IIF
            for leaf in leaves(rule.test):
                if isinstance(leaf, Name) and leaf.field is wanted:
                    return leaf.pattern
    return ""


def _policies(view: View) -> Iterator[Finding]:
    for path, words in (("forward", "through"), ("input", "to")):
        if not view.ruleset.base(path):
            continue
        unfiltered = view.everything(path) & ~view.new(path)
        if unfiltered == view.space.none:
            yield Finding(f"open-{path}", f"Everything passes {words} this host: no rule refuses anything that matters.")
            continue
        chains = view.deciding(path)
        if view.falls_through(path):
            text = f"What no rule names passes {words} this host, because the policy of {chains[-1].name} is ACCEPT: it should be DROP."
            yield Finding(f"policy-{path}", text)


def _sides(view: View) -> list[tuple[str, str]]:
    names = [name for name in view.space.names[Field.IIF] if name and name != "lo" and not name.endswith("*")]
    return [(a, b) for a in names for b in names if a != b]


def _between(view: View, packets: Set, incoming: str, outgoing: str) -> Set:
    names = view.space.names[Field.IIF]
    return view.space.fix(view.space.fix(packets, Field.IIF, names.index(incoming)), Field.OIF, names.index(outgoing))


def _one_way(view: View) -> Iterator[Finding]:
    """New connections whose replies cannot come back."""
    space = view.space
    known = space.without_unknown(view.passes["forward"] & space.of(state("established")), surely=False)
    new = view.translated_new()
    broken: dict[str, list[str]] = {}
    internet = outside(view)
    for a, b in _sides(view):
        asked = _between(view, new, a, b)
        if asked == space.none:
            continue
        answered = space.values(_between(view, known, b, a), Field.SRC)
        wanted = space.values(asked, Field.DST)
        lost = _minus(wanted, answered)
        # Inside, a rule may name a whole side although only some addresses are there; outside, all of them are.
        lost = _minus(lost, _reserved(view.version)) if b == internet else (lost if lost == wanted else [])
        if lost:
            which = ranges_text(lost, view.version, view.known) or "anywhere"
            broken.setdefault(which, []).append(f"{a} to {b}")
    for which, pairs in broken.items():
        text = f"Connections from {few(pairs)} may begin, but replies from {which} are refused, so none of them works."
        yield Finding("replies", text, _lines(_droppers(view, Field.OIF)))


def _reserved(version: int) -> list[tuple[int, int]]:
    """Addresses that nobody has outside, so nobody misses their replies."""
    return [(int(net.network_address), int(net.broadcast_address)) for net in collapse(bogons(version))]


def _droppers(view: View, which: Field) -> list[Rule]:
    """Refusals that look at one interface and deny a source: the usual culprits."""
    found = []
    for rule in view.ruleset.rules():
        parts = list(_negated(rule.test, Field.SRC))
        if rule.verdict is Verdict.DROP and parts and any(isinstance(x, Name) and x.field is which for x in leaves(rule.test)):
            found.append(rule)
    return found


def _negated(formula: Formula, which: Field) -> Iterator[Formula]:
    parts = getattr(formula, "parts", (formula,))
    for part in parts:
        if isinstance(part, Not) and any(isinstance(leaf, Range) and leaf.field is which for leaf in leaves(part)):
            yield part


def _minus(ranges: list[tuple[int, int]], holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    left = ranges
    for low, high in holes:
        cut: list[tuple[int, int]] = []
        for first, last in left:
            if high < first or low > last:
                cut.append((first, last))
                continue
            cut += [pair for pair in ((first, low - 1), (high + 1, last)) if pair[0] <= pair[1]]
        left = cut
    return left


def _wrong_side(view: View) -> Iterator[Finding]:
    rules = _droppers(view, Field.OIF)
    if rules:
        text = (
            "Meant against forged sources, but on the wrong side: a rule on the outgoing interface (-o) that refuses every source but one"
            " network refuses what comes from everywhere else, replies too; -i is meant."
        )
        yield Finding("wrong-side", text, _lines(rules))


def _translations(view: View) -> Iterator[Finding]:
    space = view.space
    pieces = {piece.rewrite: piece for piece in view.pieces["forward"] if piece.rewrite}
    told: list[Rewrite] = []
    for chain in view.ruleset.base("forward"):
        for rule in chain.rules if chain.kind == "nat" else ():
            rewrite = rule.rewrite
            seen = view.space.of(rule.test) & view.space.possible != space.none
            if rewrite is None or rewrite.kind != "dnat" or rewrite.address is None or not seen:
                continue
            reached = pieces.get(rewrite, Piece(space.none, rewrite)).packets & view.opening()
            target = address(rewrite.address[0], view.version)
            if reached == space.none:
                text = f"What is translated to {target} is not let through afterwards: no rule accepts the translated packets."
                yield Finding("published-but-refused", text, (rule.line,))
            else:
                yield from _direct(view, rule, target, image(space, Piece(reached, rewrite)))
            if rewrite not in told:
                told.append(rewrite)
                yield from _hairpin(view, rewrite, target)
            yield from _leaves_otherwise(view, rule, rewrite.address[0])


def _direct(view: View, rule: Rule, target: str, packets: Set) -> Iterator[Finding]:
    """The published host also answers to its own address from outside."""
    space = view.space
    come = space.of(Name(Field.IIF, outside(view)))
    direct = view.passes["forward"] & view.opening() & come & space.forget(packets, Field.TRANSLATED) & space.range(Field.TRANSLATED, 0, 0)
    inside = space.union(space.range(Field.DST, pair[0], pair[1]) for pair in space.values(packets, Field.DST))
    if direct & inside != space.none:
        text = f"{target} can also be reached by its inside address without translation, by whoever routes there; accept translated packets only."
        yield Finding("direct", text, (rule.line,))


def _hairpin(view: View, rewrite: Rewrite, target: str) -> Iterator[Finding]:
    """The public name does not work for those inside."""
    rules = [rule for rule in view.ruleset.rules() if rule.rewrite == rewrite]
    sides = {leaf.pattern for rule in rules for leaf in leaves(rule.test) if isinstance(leaf, Name) and leaf.field is Field.IIF}
    if len(sides) == 1:
        text = f"Inside users who use the public name of {target} do not reach it: it is translated from one interface only."
        yield Finding("hairpin", text, _lines(rules))


def _leaves_otherwise(view: View, rule: Rule, inside: int) -> Iterator[Finding]:
    """A published mail server that sends under another address than it receives."""
    public = [leaf.low for leaf in leaves(rule.test) if isinstance(leaf, Range) and leaf.field is Field.DST and leaf.low == leaf.high]
    mail = any(isinstance(leaf, Range) and leaf.field is Field.DPORT and leaf.low <= 25 <= leaf.high for leaf in leaves(rule.test))  # noqa: PLR2004 - SMTP
    here = view.space.range(Field.SRC, inside, inside)
    for rewrite, packets in view.solver.sources("forward", view.pieces["forward"]).items():
        if mail and public and packets & here != view.space.none and (rewrite.address is None or rewrite.address[0] != public[0]):
            text = f"Mail leaves under another address than {address(public[0], view.version)}, where it is received; other servers will distrust it."
            yield Finding("mail-address", text)
            return


def _spoofing(view: View) -> Iterator[Finding]:
    name = outside(view)
    if not name or view.version != 4:  # noqa: PLR2004 - the classic lists are IPv4's
        return
    space = view.space
    come = space.of(Name(Field.IIF, name)) & space.of(state("new"))
    for path, words in (("forward", "through"), ("input", "to")):
        if not view.ruleset.base(path):
            continue
        passing = view.passes[path] & come & view.opening()
        if passing == space.none:
            continue
        open_nets = [
            net for net in BOGONS4.split() if net not in view.admitted and passing & space.of(network(Field.SRC, net)) != space.none
        ]
        if open_nets:
            yield Finding(f"forged-{path}", f"Impossible sources are accepted {words} this host from {name}: {few(open_nets)}.")


def _malformed(view: View) -> Iterator[Finding]:
    space = view.space
    shapes = {"none (NULL scan)": (63, 0), "fin+psh+urg (XMAS scan)": (41, 41), "syn+fin": (3, 3), "fin alone": (17, 1)}
    for path, words in (("forward", "through"), ("input", "to")):
        if not view.ruleset.base(path):
            continue
        passing = view.passes[path] & space.of(state("new"))
        passing &= ~space.of(Name(Field.IIF, "lo"))
        found = [name for name, pair in shapes.items() if passing & space.of(flags(*pair)) != space.none]
        if found:
            yield Finding(f"flags-{path}", f"TCP packets with impossible flags pass {words} this host: {few(found)}.")


def _wide(view: View) -> Iterator[Finding]:
    for rule in view.ruleset.rules():
        spans = [leaf for leaf in leaves(rule.test) if isinstance(leaf, Range) and leaf.field is Field.DPORT]
        if rule.verdict is Verdict.ACCEPT and any(WIDE < leaf.high - leaf.low < 65535 for leaf in spans):  # noqa: PLR2004 - ports
            low, high = spans[0].low, spans[0].high
            yield Finding("wide", f"Ports {low} to {high} are open as a whole: any backdoor that calls home passes here.", (rule.line,))


def _active_ftp(view: View) -> Iterator[Finding]:
    for rule in view.ruleset.rules():
        ports = [leaf for leaf in leaves(rule.test) if isinstance(leaf, Range) and leaf.field is Field.DPORT]
        if rule.verdict is Verdict.ACCEPT and any((leaf.low, leaf.high) == (20, 20) for leaf in ports):
            yield Finding(
                "ftp-data", "Port 20 is opened as a destination; active FTP comes from port 20, so this helps nobody.", (rule.line,)
            )


def _dns(view: View) -> Iterator[Finding]:
    space = view.space
    asked = space.fix(space.fix(view.new("forward"), Field.DPORT, 53), Field.PROTO, UDP)
    large = space.fix(space.fix(view.new("forward"), Field.DPORT, 53), Field.PROTO, TCP)
    if asked & ~large != space.none:
        rules = [rule for rule in view.ruleset.rules() if _is_port(rule, UDP, 53)]
        yield Finding("dns-tcp", "DNS is let out over UDP only; large answers need TCP port 53 too.", _lines(rules))


def _is_port(rule: Rule, proto: int, port: int) -> bool:
    found = {(leaf.field, leaf.low, leaf.high) for leaf in leaves(rule.test) if isinstance(leaf, Range)}
    return {(Field.PROTO, proto, proto), (Field.DPORT, port, port)} <= found and rule.verdict is Verdict.ACCEPT


def _errors(view: View) -> Iterator[Finding]:
    """ICMP errors of known connections: without them the path MTU is not found."""
    space = view.space
    if not view.ruleset.base("forward") or view.new("forward") == space.none:
        return
    number, proto = (3, ICMP) if view.version == 4 else (2, ICMP6)  # noqa: PLR2004 - IP version 4
    both_ways = space.of(both(state("related"), icmp_type(view.version, number)))
    for a, b in _sides(view):
        if (
            _between(view, view.new("forward"), a, b) != space.none
            and _between(view, view.passes["forward"] & both_ways, b, a) == space.none
        ):
            yield Finding(
                "icmp", f"ICMP errors (protocol {proto}) cannot come back from {b} to {a}: large packets vanish, and nobody learns why."
            )
            return


def _silent_host(view: View) -> Iterator[Finding]:
    space = view.space
    loop = space.of(either([Name(Field.IIF, "lo"), Name(Field.OIF, "lo")]))
    dead = [
        word for path, word in (("input", "in"), ("output", "out")) if view.ruleset.base(path) and view.passes[path] & loop == space.none
    ]
    if dead:
        text = "The host cannot talk to itself: nothing accepts the loopback interface, so mail, name service and ssh on it fail."
        yield Finding("loopback", text)
    if view.ruleset.base("output") and view.new("output") == space.none:
        yield Finding("mute", "The host itself can begin no connection: no updates, no alerts, no name service, no time.")


def _logs(view: View) -> Iterator[Finding]:
    unlimited, joined = [], []
    for rule in view.ruleset.rules():
        if " LOG" not in rule.text:
            continue
        if not any(isinstance(leaf, Unknown) and "within" in leaf.text for leaf in leaves(rule.test)):
            unlimited.append(rule)
        prefix = rule.text.partition("--log-prefix")[2].strip()
        if prefix.startswith('"') and not prefix[1:].partition('"')[0].endswith(" "):
            joined.append(rule)
    if unlimited:
        yield Finding("log-limit", "Logging has no limit: whoever sends enough packets fills the disk.", _lines(unlimited))
    if joined:
        yield Finding("log-prefix", 'The log prefix has no blank at its end, so it runs into the next word ("IN=").', _lines(joined))


def _unlimited(view: View) -> Iterator[Finding]:
    limited = any(isinstance(leaf, Unknown) for rule in view.ruleset.rules() for leaf in leaves(rule.test))
    if view.ruleset.base("forward") and not limited and any(view.ruleset.rules()):
        yield Finding("no-limits", "Nothing limits new connections, and nothing notices a port scan.")


def _dead(view: View) -> Iterator[Finding]:
    """Rules that no packet reaches, with the rule that takes everything before them."""
    space = view.space
    for chain in view.ruleset.chains.values():
        if chain.hook is None or chain.kind == "nat":
            continue
        left = space.possible & space.of(chain.families)
        seen: list[tuple[Set, Rule]] = []
        # A verdict map is one line and many rules: it is dead only as a whole.
        lines = Counter(rule.line for rule in chain.rules)
        for rule in chain.rules:
            test = space.of(rule.test)
            if (
                rule.verdict is not Verdict.CONTINUE
                and lines[rule.line] == 1
                and test & space.possible != space.none
                and left & test == space.none
            ):
                before = next((old for hit, old in seen if hit & test != space.none), None)
                yield _dead_finding(rule, before)
            if rule.verdict in {Verdict.ACCEPT, Verdict.DROP}:
                seen.append((left & test, rule))
                left &= ~test
            elif rule.verdict in {Verdict.JUMP, Verdict.GOTO}:
                inner = view.solver.run(view.ruleset.chains[(chain.family, chain.table, rule.target)], left & test)
                left = (left & ~test) | (inner.rest if rule.verdict is Verdict.JUMP else space.none)


def _dead_finding(rule: Rule, before: Rule | None) -> Finding:
    if before is None:
        return Finding("dead", "This rule is never reached: the rules before it leave nothing for it.", (rule.line,))
    if before.verdict is rule.verdict:
        return Finding("shadowed", f"This rule does nothing: the rule in line {before.line} already does the same.", (rule.line,))
    text = f"This rule contradicts the one in line {before.line}, which comes first and wins, so it never works."
    return Finding("contradiction", text, (rule.line,))
