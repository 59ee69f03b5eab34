"""Reads iptables-save and ip6tables-save files, and the rules of iptables scripts.

What it does: turns the text into a `Ruleset`. A script is read as iptables would take it, line by line: what iptables would refuse is
refused here, with the reason, and the rest stays.
Not its job: the shell around the rules (`iptables_script`), the meaning of options (`iptables_match`).
Raises: nothing; what is not understood becomes an undecided condition, or a refusal to certify.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from ipaddress import ip_address

from gatepost.firewall.formula import TRUE, Formula, Not, Unknown, both
from gatepost.firewall.iptables_match import (
    ENDS,
    MODULES,
    NATS,
    OPTIONS,
    OUTSIDE,
    PLAIN_MODULES,
    SILENT,
    Refused,
    Words,
    port_number,
    together,
)
from gatepost.firewall.ruleset import Chain, Hook, Rewrite, Rule, Ruleset, Verdict

PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
BUILT_IN = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
QUOTING = frozenset("\"'\\#")
"""What a shell takes for more than itself; a line without it is split at its spaces, which is much quicker."""
_COUNTERS = re.compile(r"^\[\d+:\d+\]\s+")
_OLD_NEGATION = {"-s", "-d", "-i", "-o", "-p", "--dport", "--sport", "--source", "--destination", "--state", "--ctstate", "--tcp-flags"}


@dataclass(slots=True)
class Tables:
    """The tables of one IP version while commands or lines are read into them. `strict` refuses what iptables refuses."""

    version: int
    strict: bool = False
    translated: bool = False
    ruleset: Ruleset = field(default_factory=Ruleset)

    def chain(self, table: str, name: str) -> Chain | None:
        """A chain that exists; the built-in ones always do."""
        family = "ip" if self.version == 4 else "ip6"  # noqa: PLR2004 - IP version 4
        key = (family, table, name)
        if key not in self.ruleset.chains and name in BUILT_IN.get(table, ()):
            self.create(table, name)
        return self.ruleset.chains.get(key)

    def create(self, table: str, name: str) -> Chain:
        """Make a chain; a built-in one gets its hook and priority."""
        chain = Chain(table, "ip" if self.version == 4 else "ip6", name)  # noqa: PLR2004 - IP version 4
        if name in BUILT_IN.get(table, ()):
            chain.hook, chain.priority = Hook(name.lower()), PRIORITIES[table]
            if table == "nat":
                chain.kind = "nat"
                chain.priority = 100 if name in {"POSTROUTING", "INPUT"} else -100
        return self.ruleset.add(chain)


def read_save(text: str, version: int | None = None) -> Ruleset:
    """A rule set as iptables-save writes it; the IP version is guessed from the text when it is not given."""
    tables = Tables(version or guess_version(text), translated=bool(re.search(r"-j (DNAT|REDIRECT)", text)))
    table = ""
    pending: list[tuple[int, str, str]] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COUNTERS.sub("", raw.strip())
        if line.startswith("*"):
            table = line[1:]
        elif table and line.startswith(":"):
            name, policy = (*line[1:].split(), "-")[:2]
            chain = tables.create(table, name)
            chain.policy = Verdict.DROP if policy == "DROP" else Verdict.ACCEPT
        elif table and line.startswith(("-A", "-I")):
            pending.append((number, table, line))
    for number, where, line in pending:
        _append(tables, where, line, number)
    return tables.ruleset


def guess_version(text: str) -> int:
    """6 when the text says ip6tables, or speaks of IPv6 addresses and never of IPv4 ones."""
    if "ip6tables" in text:
        return 6
    has4 = re.search(r"-[sd] !? ?\d+\.\d+\.\d+\.\d+", text)
    return 6 if not has4 and re.search(r"-[sd] !? ?[0-9a-f]*:[0-9a-f:]+", text) else 4


def _append(tables: Tables, table: str, line: str, number: int) -> None:
    """Add a rule from a saved file; whatever is strange there is loaded already, so it is read as well as it can be."""
    words = shlex.split(line) if QUOTING & set(line) else line.split()
    chain = tables.chain(table, words[1])
    if chain is None:
        tables.ruleset.notes.append(f"line {number}: chain {words[1]} is not declared")
        return
    try:
        rule = read_rule(tables, table, words[2:], line, number)
    except (Refused, ValueError, IndexError) as error:
        tables.ruleset.notes.append(f"line {number}: {error}: {line}")
        rule = Rule(Unknown(line), Verdict.DROP if " DROP" in line or " REJECT" in line else Verdict.ACCEPT, text=line, line=number)
    chain.rules.append(rule)


def read_rule(tables: Tables, table: str, words: list[str], line: str, number: int) -> Rule:
    """One rule from its options, after the chain's name. Raises `Refused` where iptables would."""
    reading = _Rule(tables, table, words, line, number)
    reading.options()
    return reading.rule()


class _Rule:
    """Walks over the words of one rule."""

    def __init__(self, tables: Tables, table: str, words: list[str], line: str, number: int) -> None:
        self.tables, self.table, self.words = tables, table, words
        self.line, self.number, self.at = line, number, 0
        self.known = Words(tables.version, options={}, translated=tables.translated)
        self.tests: list[Formula] = []
        self.target, self.jump, self.extra = "", Verdict.JUMP, [""]
        self.label = ""

    def take(self) -> str:
        if self.at >= len(self.words):
            raise Refused(f"{self.words[-1]} needs a value after it")
        self.at += 1
        return self.words[self.at - 1]

    def options(self) -> None:
        """Read every option up to the target."""
        while self.at < len(self.words) and not self.target:
            negated = self.words[self.at] == "!"
            if negated:
                self.at += 1
            option = self.take()
            if option in {"-m", "--match"}:
                self._module(self.take(), negated=negated)
            elif option in {"-j", "--jump", "-g", "--goto"}:
                self.jump = Verdict.GOTO if option in {"-g", "--goto"} else Verdict.JUMP
                self.target, self.extra = self.take(), self.words[self.at :]
            else:
                self._option(option, negated=negated)
        self.tests.append(together(self.known, self.label))

    def _module(self, name: str, *, negated: bool) -> None:
        """A module with no option of its own still asks something."""
        self.known.modules += (name,)
        rest = self.words[self.at :]
        bare = not rest or rest[0] in {"-j", "--jump", "-g", "--goto", "-m", "--match"}
        if bare and name not in PLAIN_MODULES:
            test = MODULES.get(name, Unknown(name))
            self.tests.append(Not(test) if negated else test)

    def _option(self, option: str, *, negated: bool) -> None:
        if option == "--comment":
            self.label = self.words[self.at] if self.at < len(self.words) else ""
        if option not in OPTIONS:
            self._unknown(option, negated=negated)
            return
        count, read = OPTIONS[option]
        if option in _OLD_NEGATION and self.at < len(self.words) and self.words[self.at] == "!":
            if self.tables.strict:
                raise Refused(f'"{option} ! value" is no longer understood; write "! {option} value"')
            negated, self.at = not negated, self.at + 1
        values = [self.take() for _ in range(count)]
        formula = read(self.known, values)
        self.tests.append(Not(formula) if negated else formula)

    def _unknown(self, option: str, *, negated: bool) -> None:
        """An option that nobody knows: undecided, with all the words that belong to it."""
        if self.tables.strict and not self.known.modules:
            raise Refused(f'unknown option "{option}"')
        if self.tables.strict and not option.startswith("-"):
            raise Refused(f'"{option}" stands where an option should')
        rest = []
        while self.at < len(self.words) and not self.words[self.at].startswith("-") and self.words[self.at] != "!":
            rest.append(self.take())
        module = self.known.modules[-1] if self.known.modules else ""
        condition = Unknown(" ".join(filter(None, [module, option, *rest])))
        self.tests.append(Not(condition) if negated else condition)

    def rule(self) -> Rule:
        """The finished rule."""
        test = both(*self.tests) if self.tests else TRUE
        target = self.target
        verdict, rewrite = Verdict.CONTINUE, None
        effects: tuple[str, ...] = ()
        if self.tables.chain(self.table, target) is not None and target not in ENDS:
            verdict = self.jump
        elif target in ENDS:
            verdict, target = Verdict(ENDS[target]), ""
        elif target in NATS:
            verdict, rewrite = Verdict.TRANSLATE, self._rewrite(NATS[target])
        elif target in OUTSIDE:
            self._refuse(f"the target {target} is decided outside the rules")
            verdict = Verdict.ACCEPT
        elif target in SILENT:
            effects = self._effects()
        elif target:
            self._no_target(target)
        return Rule(test, verdict, target, rewrite, effects, self.label, self.line, self.number)

    def _no_target(self, target: str) -> None:
        hint = "; DENY is the word of ipchains, iptables says DROP" if target in {"DENY", "MASQ"} else ""
        if self.tables.strict:
            raise Refused(f'there is no target or chain "{target}"{hint}')
        self._refuse(f'the target "{target}" is not known')

    def _refuse(self, text: str) -> None:
        message = f"line {self.number}: {text}"
        if message not in self.tables.ruleset.refusals:
            self.tables.ruleset.refusals.append(message)

    def _effects(self) -> tuple[str, ...]:
        if self.target == "NOTRACK" or "--notrack" in self.extra:
            self._refuse("packets are taken out of connection tracking")
        if "--helper" in self.extra:
            return (f"helper {self.extra[self.extra.index('--helper') + 1]}",)
        return ()

    def _rewrite(self, kind: str) -> Rewrite:
        option = {"dnat": "--to-destination", "snat": "--to-source"}.get(kind, "--to-ports")
        if option not in self.extra:
            if kind in {"dnat", "snat"} and self.tables.strict:
                raise Refused(f"{self.target} needs {option}")
            return Rewrite(kind)
        value = self.extra[self.extra.index(option) + 1]
        if kind in {"masquerade", "redirect"}:
            return Rewrite(kind, port=_numbers(value) if kind == "redirect" else None)
        rewrite = Rewrite(kind, *_destination(value))
        if not rewrite.exact and kind == "dnat":
            self._refuse("a translation to several addresses cannot be proved")
        return rewrite


def _destination(text: str) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """`192.168.2.3-192.168.2.9:25`, `[2001:db8::1]:25`, `:25`."""
    if text.startswith("["):
        addresses, _, ports = text[1:].partition("]")
        ports = ports.lstrip(":")
    elif text.count(":") > 1:
        addresses, ports = text, ""
    else:
        addresses, _, ports = text.partition(":")
    return _addresses(addresses), _numbers(ports) if ports else None


def _addresses(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    low, _, high = text.partition("-")
    return int(ip_address(low)), int(ip_address(high or low))


def _numbers(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    first, last = port_number(low), port_number(high or low)
    if first is None or last is None:
        raise Refused(f'"{text}" is not a port')
    return first, last
