"""Where in a TOML file each key and each array element stands: its line, and the places of keys and values for who edits them.

What it does: walks the tokens of a text that `tomllib` has accepted, and so never has to judge it.
Not its job: values. `tomllib` gives those and knows no lines.
Raises: nothing for a text that `tomllib` accepts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)"""
    r'''|(?P<text>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')'''
    r"""|(?P<mark>[\[\]{},=.])|(?P<word>[^\s\[\]{},=.\#"']+)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Place:
    """Where `key = value` stands, as offsets in the text: `name` is the last step of the key, `inline` whether it is within braces."""

    start: int
    name: tuple[int, int]
    value: tuple[int, int]
    inline: bool


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            yield _Token(match.lastgroup or "", match[0], line, match.start())
        line += match[0].count("\n")
    yield _Token("newline", "\n", line, len(text))


class _Reader:
    """Keeps the place in the tokens, the current table, and how many tables each array of tables has so far."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.places: dict[Path, Place] = {}
        self.arrays: dict[Path, int] = {}

    def peek(self) -> str:
        return self.tokens[self.at].text

    def more(self) -> bool:
        return self.at < len(self.tokens)

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def skip_newlines(self) -> None:
        while self.more() and self.tokens[self.at].kind == "newline":
            self.at += 1

    def note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def key(self) -> tuple[Path, int]:
        """A dotted key: its names and the line of the first."""
        first = self.take()
        names = [first]
        while self.peek() == ".":
            self.at += 1
            names.append(self.take())
        return tuple(_name(token) for token in names), first.line

    def table(self) -> Path:
        """A `[table]` or `[[array of tables]]` header; gives the path that the following keys are under."""
        self.at += 1
        is_array = self.peek() == "["
        self.at += is_array
        names, line = self.key()
        self.at += 1 + is_array
        path: Path = ()
        for name in names[:-1]:
            path = self.current((*path, name))
        path = (*path, names[-1])
        if is_array:
            self.arrays[path] = self.arrays.get(path, -1) + 1
        path = self.current(path)
        self.note(path, line)
        return path

    def current(self, path: Path) -> Path:
        """`path`, and the number of its newest table where it is an array of tables."""
        return (*path, self.arrays[path]) if path in self.arrays else path

    def pair(self, table: Path, *, inline: bool = False) -> None:
        """One `key = value`."""
        start = self.tokens[self.at].start
        names, line = self.key()
        name = self.tokens[self.at - 1]
        self.at += 1
        path = (*table, *names)
        self.note(path, line)
        value = self.tokens[self.at].start
        self.value(path)
        self.places[path] = Place(start, (name.start, name.end), (value, self.tokens[self.at - 1].end), inline)

    def value(self, path: Path) -> None:
        if self.peek() == "[":
            self.array(path)
        elif self.peek() == "{":
            self.inline(path)
        else:
            while self.peek() not in {",", "]", "}", "\n"}:
                self.at += 1

    def array(self, path: Path) -> None:
        self.at += 1
        number = 0
        self.skip_newlines()
        while self.peek() != "]":
            if self.peek() == ",":
                number += 1
                self.at += 1
            else:
                self.note((*path, number), self.tokens[self.at].line)
                self.value((*path, number))
            self.skip_newlines()
        self.at += 1

    def inline(self, path: Path) -> None:
        self.at += 1
        self.skip_newlines()
        while self.peek() != "}":
            if self.peek() == ",":
                self.at += 1
            else:
                self.pair(path, inline=True)
            self.skip_newlines()
        self.at += 1


def _name(token: _Token) -> str:
    if token.kind != "text":
        return token.text
    return str(tomllib.loads(f"name = {token.text}")["name"])


def line_index(text: str) -> dict[Path, int]:
    """The line (from 1) of each key, table and array element, by its path: ("policy", "rules", 0, "name")."""
    return _read(text).lines


def places(text: str) -> dict[Path, Place]:
    """Where each `key = value` stands, by its path."""
    return _read(text).places


def _read(text: str) -> _Reader:
    reader = _Reader(text)
    table: Path = ()
    reader.skip_newlines()
    while reader.more():
        if reader.peek() == "[":
            table = reader.table()
        else:
            reader.pair(table)
        reader.skip_newlines()
    return reader


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest thing around it that is written; 1 for the whole file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1
