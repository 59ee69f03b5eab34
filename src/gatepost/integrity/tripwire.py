"""Reading a Tripwire policy (twpolicy(4)): variables, directives, rules, rule blocks, stop points.

A text that Tripwire itself would refuse is read as far as its meaning is plain, and the remark says what was wrong: the way a tired
administrator wants it. What is not plain is an error with its line, never dropped.
Not its job: whether the paths exist (`compile`).
Raises: nothing; errors are remarks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

from gatepost.integrity import attributes as at
from gatepost.integrity.imported import Imported, Remark, joined
from gatepost.site.integrity import Rule

PREDEFINED: Final = {
    "ReadOnly": "+pinugtsdbmCM-rlacSH",
    "Dynamic": "+pinugtd-srlbamcCMSH",
    "Growing": "+pinugtdl-srbamcCMSH",
    "Device": "+pugsdr-intlbamcCMSH",
    "IgnoreAll": "-pinugtsdrlbamcCMSH",
    "IgnoreNone": "+pinugtsdrbamcCMSH-l",
}
"""Tripwire's own variables."""

_TOKEN: Final = re.compile(
    r'(?P<space>[ \t\r]+)|(?P<comment>\#[^\n]*)|(?P<newline>\n)|(?P<arrow>->)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<mark>[(){};,=!])'
    r"|(?P<directive>@@\w+[^\n]*)|(?P<word>(?:\$\([^)\n]*\)|[^\s(){};,=!\"#>-]|-(?!>)|>)+)"
    r"|(?P<other>.)"
)
_ATTRIBUTES: Final = ("rulename", "severity", "emailto", "recurse", "match", "onviolation")
_END: Final = "end of file"


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class _Settings:
    """Attributes that hold for a rule, from its block or its own."""

    name: str = ""
    severity: int = 0
    mail: tuple[str, ...] = ()
    recurse: int = -1
    pattern: str = ""


class _UnreadableError(Exception):
    """A statement that cannot be read."""


def import_tripwire(text: str, host: str = "") -> Imported:
    """Read twpol.txt for `host` (@@ifhost)."""
    return _Parser(text, host).whole()


class _Parser:
    def __init__(self, text: str, host: str) -> None:
        self._remarks: list[Remark] = []
        self._tokens = _directed(_tokens(text), host, self._remarks)
        self._place = 0
        self._variables = {**PREDEFINED, "HOSTNAME": host}
        self._rules: list[Rule] = []
        self._stops: list[str] = []

    def whole(self) -> Imported:
        """All statements."""
        while self._here.kind != "end":
            self._statement(_Settings())
        rules = [_stopped(rule, self._stops) for rule in joined(self._rules)]
        return Imported(tuple(rules), tuple(sorted(self._remarks, key=lambda r: r.line)))

    @property
    def _here(self) -> _Token:
        return self._tokens[self._place]

    def _next(self) -> _Token:
        token = self._here
        self._place += token.kind != "end"
        return token

    def _take(self, text: str) -> bool:
        found = self._here.text == text and self._here.kind in ("mark", "arrow")
        self._place += found
        return found

    def _want(self, text: str) -> None:
        if not self._take(text):
            raise _UnreadableError(f'"{text}" is expected before "{self._here.text}"')

    def _remark(self, line: int, text: str, *, is_error: bool = False) -> None:
        self._remarks.append(Remark(line, text, is_error))

    def _statement(self, settings: _Settings) -> None:
        """One statement; what cannot be read is skipped up to its end and told."""
        line = self._here.line
        try:
            if self._take("("):
                self._block(self._attributes(settings, ")"))
            elif self._here.text == "{" and self._looks_like_attributes():
                self._next()
                self._remark(line, 'attributes of a rule block stand in braces; Tripwire wants parentheses and says "Syntax error" at the next line: '
                                   "( rulename = ..., severity = ... ) { rules }. Read as that")  # fmt: skip
                self._block(self._attributes(settings, "}"))
            elif self._take("!"):
                self._stop()
            else:
                self._rule_or_variable(settings)
        except (_UnreadableError, at.AttributeWordError) as error:
            self._remark(line, f"not understood: {error}", is_error=True)
            self._recover()

    def _looks_like_attributes(self) -> bool:
        after = self._tokens[self._place + 1 : self._place + 3]
        return len(after) > 1 and after[0].text.lower() in _ATTRIBUTES and after[1].text == "="

    def _recover(self) -> None:
        """Go to the end of the statement, unless its end was taken already."""
        if self._place and self._tokens[self._place - 1].text == ";":
            return
        while self._here.kind != "end" and self._next().text not in (";", "}"):
            pass

    def _block(self, settings: _Settings) -> None:
        line = self._here.line
        if not self._take("{"):
            self._remark(line, "the rules of a block must stand in braces; read as one rule")
            self._statement(settings)
            return
        while not self._take("}"):
            if self._here.kind == "end":
                self._remark(line, "the block is never closed with a brace")
                return
            self._statement(settings)

    def _attributes(self, settings: _Settings, end: str) -> _Settings:
        while not self._take(end):
            token = self._next()
            if token.kind == "end":
                raise _UnreadableError(f'attributes are never closed with "{end}"')
            if token.text in (",", ";"):
                continue
            self._want("=")
            settings = self._attribute(settings, token, self._value(end))
        return settings

    def _value(self, end: str) -> str:
        parts = []
        while self._here.text not in (",", end) and self._here.kind != "end":
            parts.append(self._expanded(self._next()))
        return "".join(parts)

    def _attribute(self, settings: _Settings, token: _Token, value: str) -> _Settings:
        match token.text.lower():
            case "rulename":
                return _Settings(value, settings.severity, settings.mail, settings.recurse, settings.pattern)
            case "severity" if value.isdigit():
                return _Settings(settings.name, min(int(value), 1_000_000), settings.mail, settings.recurse, settings.pattern)
            case "emailto":
                mail = tuple(m for m in re.split(r"[;,\s]+", value) if m)
                return _Settings(settings.name, settings.severity, (*settings.mail, *mail), settings.recurse, settings.pattern)
            case "recurse" if value in ("true", "false") or value.lstrip("-").isdigit():
                recurse = {"true": -1, "false": 0}.get(value)
                return _Settings(
                    settings.name, settings.severity, settings.mail, int(value) if recurse is None else recurse, settings.pattern
                )
            case "match":
                return _Settings(settings.name, settings.severity, settings.mail, settings.recurse, value)
            case "onviolation":
                self._remark(
                    token.line, "onviolation runs a program at each finding; Gatepost has events for that, the program is left out"
                )
                return settings
        raise _UnreadableError(f'"{token.text} = {value}" is no attribute of a rule')

    def _stop(self) -> None:
        token = self._next()
        path = self._expanded(token)
        if not path.startswith("/"):
            raise _UnreadableError(f'"{path}" is no absolute path')
        self._stops.append(path.rstrip("/") or "/")
        self._end(token.line)

    def _rule_or_variable(self, settings: _Settings) -> None:
        token = self._next()
        if token.text in (";", "}"):
            self._remark(token.line, f'a "{token.text}" too many')
        elif self._take("="):
            self._variables[token.text] = self._until_end()
        elif self._take("->"):
            self._rule(token, settings)
        elif token.kind == "end":
            return
        else:
            raise _UnreadableError(f'"{token.text}" begins no rule and no variable; a rule has the form  /path -> $(ReadOnly);')

    def _rule(self, token: _Token, settings: _Settings) -> None:
        path = self._expanded(token)
        if not path.startswith("/"):
            raise _UnreadableError(f'"{path}" is no absolute path')
        mask = ""
        while self._here.text not in (";", "(", "}") and self._here.kind != "end":
            mask += self._expanded(self._next())
        if self._take("("):
            settings = self._attributes(settings, ")")
        self._end(token.line)
        bits = self._mask(mask) | at.TYPE
        self._advise(token.line, path, bits)
        pattern = f"^{re.escape(path)}/.*{_glob(settings.pattern)}$" if settings.pattern else ""
        name = settings.name or f"Tripwire line {token.line}"
        watch = at.expression(bits) if bits != at.TYPE else "IgnoreAll"
        self._rules.append(
            Rule(
                name=name[:80],
                paths=(path.rstrip("/") or "/",),
                watch=watch,
                severity=settings.severity,
                mail=settings.mail,
                recurse=settings.recurse,
                pattern=pattern,
            )
        )

    def _advise(self, line: int, path: str, bits: int) -> None:
        if path.startswith("/var/log/") and bits & at.CONTENT:
            self._remark(line, f"{path} is a log and will be a finding in each run. If that is meant as a canary, Gatepost has one built in, "
                               "with a fresh value each time; else watch it as Growing")  # fmt: skip

    def _end(self, line: int) -> None:
        if not self._take(";"):
            self._remark(line, 'the ";" at the end of the rule is missing; Tripwire refuses that. Read as if it were there')

    def _until_end(self) -> str:
        value = ""
        while self._here.text not in (";", "}") and self._here.kind != "end":
            value += self._expanded(self._next())
        self._end(self._here.line)
        return value

    def _expanded(self, token: _Token) -> str:
        text = token.text[1:-1].replace('\\"', '"') if token.kind == "string" else token.text
        return re.sub(r"\$\(([^)]*)\)", lambda m: self._variable(m[1].strip()), text)

    def _variable(self, name: str) -> str:
        if name not in self._variables:
            raise _UnreadableError(f"the variable {name} is not defined")
        return self._variables[name]

    def _mask(self, text: str) -> int:
        """The mask of a list of letters; several letters can mean one attribute (four kinds of digest), so letters are counted first."""
        letters: set[str] = set()
        adding = True
        for char in text.replace(" ", ""):
            if char in "+-":
                adding = char == "+"
                continue
            at.letter_bits(char)
            letters = letters | {char} if adding else letters - {char}
        return reduce(or_, map(at.letter_bits, letters), 0)


def _tokens(text: str) -> list[_Token]:
    line, found = 1, []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "newline":
            line += 1
        elif kind not in ("space", "comment"):
            found.append(_Token(kind, match[0].strip(), line))
    return [*found, _Token("end", _END, line)]


def _directed(tokens: list[_Token], host: str, remarks: list[Remark]) -> list[_Token]:
    """Tokens of the lines that hold for `host`."""
    kept: list[_Token] = []
    stack: list[bool] = []
    for token in tokens:
        if token.kind != "directive":
            if all(stack) or token.kind == "end":
                kept.append(token)
            continue
        word, _, rest = token.text[2:].partition(" ")
        match word:
            case "ifhost":
                stack.append(host in re.split(r"\s*\|\|\s*|\s+", rest.strip()))
            case "else" if stack:
                stack[-1] = not stack[-1]
            case "endif" if stack:
                stack.pop()
            case "end":
                return [*kept, _Token("end", _END, token.line)]
            case "section" | "print" | "error":
                pass
            case _:
                remarks.append(Remark(token.line, f"@@{word} is not known here", is_error=True))
    return kept


def _stopped(rule: Rule, stops: list[str]) -> Rule:
    inside = tuple(stop for stop in stops if any(stop != path and stop.startswith(path.rstrip("/") + "/") for path in rule.paths))
    return rule.model_copy(update={"skip": inside})


def _glob(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
