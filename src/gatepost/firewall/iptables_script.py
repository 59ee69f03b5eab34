"""Reads a firewall script as people write them: shell around iptables commands.

What it does: follows assignments, simple loops and continued lines, and gives each iptables command to the reader as iptables itself would
get it; keeps a list of refused lines with the reason, and of the kernel switches that the script sets.
Not its job: being a shell. What it does not follow (conditions, functions, substitutions) is named, never guessed.
Raises: nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from gatepost.firewall.iptables_match import Refused
from gatepost.firewall.iptables_reader import BUILT_IN, Tables, read_rule
from gatepost.firewall.ruleset import Rule, Ruleset, Verdict

_ASSIGNMENT = re.compile(r"^(?:export\s+)?([A-Za-z_]\w*)=(\S*|\"[^\"]*\"|'[^']*')\s*(?:#.*)?$")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
_LOOP = re.compile(r"^for\s+(\w+)\s+in\s+(.*?)\s*;?\s*(?:do)?$")
_SWITCH = re.compile(r"echo\s+\"?(\S+?)\"?\s*>\s*/proc/sys/(\S+)|sysctl\s+(?:-\w+\s+)*([\w./-]+)\s*=\s*(\S+)")
_COMMAND = re.compile(r"(?:^|/)(iptables|ip6tables|ipchains|ipfwadm)(?:-legacy|-nft)?$")
_KEYWORDS = ("if", "then", "else", "elif", "fi", "case", "esac", "while", "until", "function", "{", "}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the script that was not taken, and why."""

    number: int
    text: str
    why: str


@dataclass(slots=True)
class Script:
    """What is left of a script once iptables has taken it."""

    rules4: Ruleset
    rules6: Ruleset
    loaded: int = 0
    refused: list[Line] = field(default_factory=list)
    unjudged: list[Line] = field(default_factory=list)
    switches: list[tuple[int, str, str]] = field(default_factory=list)
    first_rule: int = 0


def looks_like_script(text: str) -> bool:
    """True for a text with iptables or ipchains commands; a saved rule set has none."""
    return bool(re.search(r"^\s*(?:\S*/)?(?:iptables|ip6tables|ipchains|\$\{?\w+\}?)\s+(?:-t \w+ )?-+[A-Za-z]", text, re.MULTILINE))


def read_script(text: str) -> Script:
    """Load a script into empty tables, line by line, as running it would."""
    reader = _Reader()
    for number, line in _joined(text):
        reader.line(number, line)
    return reader.script


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, continued ones joined."""
    start = 0
    parts: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        start = start if parts else number
        line = raw.rstrip()
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield start, " ".join([*parts, line]).strip()
        parts = []
    if parts:
        yield start, " ".join(parts).strip()


class _Reader:
    def __init__(self) -> None:
        self.tables = {4: Tables(4, strict=True, translated=True), 6: Tables(6, strict=True, translated=True)}
        self.script = Script(self.tables[4].ruleset, self.tables[6].ruleset)
        for tables in self.tables.values():
            for table, names in BUILT_IN.items():
                for name in names:
                    tables.create(table, name)
        self.variables: dict[str, str] = {}
        self.loop: tuple[str, list[str], list[tuple[int, str]]] | None = None

    def line(self, number: int, line: str) -> None:
        """Take one line of the script."""
        line = line.strip()
        if not line or line.startswith("#"):
            return
        if self.loop is not None:
            self._in_loop(number, line)
        elif found := _LOOP.match(line):
            self.loop = (found[1], self._expand(found[2]).split(), [])
        elif found := _ASSIGNMENT.match(line):
            self.variables[found[1]] = self._expand(found[2].strip("\"'"))
        else:
            self._plain(number, line)

    def _in_loop(self, number: int, line: str) -> None:
        assert self.loop
        variable, values, body = self.loop
        if line != "done":
            if line != "do":
                body.append((number, line))
            return
        self.loop = None
        for value in values:
            self.variables[variable] = value
            for place, text in body:
                self.line(place, text)

    def _expand(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.variables.get(found[1], found[0]), text)

    def _plain(self, number: int, line: str) -> None:
        expanded = self._expand(line)
        for switch in _SWITCH.finditer(expanded):
            key = switch[2] or switch[3]
            self.script.switches.append((number, key.replace("/", "."), switch[1] or switch[4]))
        try:
            words = shlex.split(expanded, comments=True)
        except ValueError:
            self.script.unjudged.append(Line(number, line, "a quote is not closed"))
            return
        program = _program(words, self.variables)
        if program is None:
            if words and (words[0] in _KEYWORDS or "iptables" in line):
                self.script.unjudged.append(Line(number, line, "shell that is not followed here"))
            return
        self.script.first_rule = self.script.first_rule or number
        if program not in {"iptables", "ip6tables"}:
            self._refused(number, line, f"{program} is no longer in the kernel, so this does nothing")
            return
        try:
            self._command(6 if program == "ip6tables" else 4, words[1:], line, number)
            self.script.loaded += 1
        except (Refused, ValueError, IndexError) as error:
            self._refused(number, line, str(error))

    def _refused(self, number: int, line: str, why: str) -> None:
        self.script.refused.append(Line(number, line, why))

    def _command(self, version: int, words: list[str], line: str, number: int) -> None:
        """One iptables command on the tables."""
        table, rest = "filter", list(words)
        for option in ("-t", "--table"):
            if option in rest:
                at = rest.index(option)
                table = rest[at + 1]
                del rest[at : at + 2]
        if table not in BUILT_IN:
            raise Refused(f'there is no table "{table}"')
        _Command(self.tables[version], table, rest, line, number).run()


def _program(words: list[str], variables: dict[str, str]) -> str | None:
    """Which firewall command a line runs; a variable that is never set but used like one counts as iptables."""
    if not words:
        return None
    found = _COMMAND.search(words[0])
    if found:
        return found[1]
    unset = re.fullmatch(r"\$\{?(\w*(?:IPT|IPTABLES|ipt|iptables|IP6T)\w*)\}?", words[0])
    return ("ip6tables" if "6" in unset[1] else "iptables") if unset and unset[1] not in variables else None


class _Command:
    """One command: -A, -I, -P, -N, -F, -X, -D and their long forms."""

    def __init__(self, tables: Tables, table: str, words: list[str], line: str, number: int) -> None:
        self.tables, self.table, self.words = tables, table, words
        self.text, self.number = line, number

    def run(self) -> None:
        short = {"--append": "-A", "--insert": "-I", "--policy": "-P", "--new-chain": "-N", "--flush": "-F", "--delete-chain": "-X"}
        commands = [
            short.get(word, word)
            for word in self.words
            if short.get(word, word) in {"-A", "-I", "-P", "-N", "-F", "-X", "-D", "-Z", "-L", "-E", "-R"}
        ]
        if not commands:
            raise Refused("no command (-A, -P, -N ...) is given")
        if odd := [word for word in self.words if re.fullmatch(r"-L[A-Z]+", word)]:
            raise Refused(f'cannot use -L with {commands[0]}: "{odd[0]}" should be -j {odd[0][1:]}')
        if len(commands) > 1:
            raise Refused(f"cannot use {commands[1]} with {commands[0]}")
        at = next(index for index, word in enumerate(self.words) if short.get(word, word) == commands[0])
        arguments = self.words[at + 1 :]
        before = self.words[:at]
        action = {"-A": self._add, "-I": self._insert, "-P": self._policy, "-N": self._new, "-F": self._flush, "-X": self._erase}
        if commands[0] in action:
            action[commands[0]]([*arguments[:1], *before, *arguments[1:]])
        elif commands[0] in {"-D", "-R", "-E"}:
            raise Refused(f"{commands[0]} is not followed here")

    def _chain(self, name: str) -> list[Rule]:
        chain = self.tables.chain(self.table, name)
        if chain is None:
            raise Refused(f'there is no chain "{name}" in table {self.table}')
        return chain.rules

    def _add(self, words: list[str]) -> None:
        rules = self._chain(words[0])
        rules.append(read_rule(self.tables, self.table, words[1:], self.text, self.number))

    def _insert(self, words: list[str]) -> None:
        rules = self._chain(words[0])
        place = int(words[1]) - 1 if len(words) > 1 and words[1].isdigit() else 0
        rest = words[2:] if len(words) > 1 and words[1].isdigit() else words[1:]
        rules.insert(place, read_rule(self.tables, self.table, rest, self.text, self.number))

    def _policy(self, words: list[str]) -> None:
        chain = self.tables.chain(self.table, words[0])
        if chain is None or chain.hook is None:
            raise Refused(f'"{words[0]}" is no built-in chain, so it has no policy')
        if words[1] not in {"ACCEPT", "DROP"}:
            hint = "; DENY is the word of ipchains, iptables says DROP" if words[1] == "DENY" else "; a policy is ACCEPT or DROP"
            raise Refused(f'bad policy name "{words[1]}"{hint}')
        chain.policy = Verdict(words[1].lower())

    def _new(self, words: list[str]) -> None:
        if self.tables.chain(self.table, words[0]) is not None:
            raise Refused(f'chain "{words[0]}" exists already')
        self.tables.create(self.table, words[0])

    def _flush(self, words: list[str]) -> None:
        for chain in self.tables.ruleset.chains.values():
            if chain.table == self.table and (not words or chain.name == words[0]):
                chain.rules.clear()

    def _erase(self, words: list[str]) -> None:
        chains = self.tables.ruleset.chains
        for key in [
            key
            for key, chain in chains.items()
            if chain.table == self.table and chain.hook is None and (not words or chain.name == words[0])
        ]:
            del chains[key]
