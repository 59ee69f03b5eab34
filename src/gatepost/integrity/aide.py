"""Reading an aide.conf (aide.conf(5)): groups, macros, selection lines with regular expressions.

AIDE's expressions match from the start of a path; the part before the first special character becomes the path of our rule, the whole becomes its
pattern where it says more than that.
Not its job: databases, report formats and included files; they become remarks.
Raises: nothing; errors are remarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gatepost.integrity import attributes as at
from gatepost.integrity.imported import Imported, Remark, joined
from gatepost.site.integrity import Rule

_X: Final = at.ACL | at.XATTRS | at.CAPABILITIES | at.FLAGS | at.SELINUX
_L: Final = at.MODE | at.TYPE | at.LINK | at.INODE | at.LINKS | at.UID | at.GID | _X
PREDEFINED: Final = {
    "R": _L | at.SIZE | at.MTIME | at.CTIME | at.CONTENT,
    "L": _L,
    ">": (_L | at.GROWING),
    "X": _X,
    "H": at.CONTENT,
    "E": 0,
}
"""AIDE's own groups."""

_OPTIONS: Final = re.compile(
    r"^(database\w*|gzip_dbout|verbose|log_level|report_\w+|summarize_changes|grouped|warn_dead_symlinks|root_prefix|acl_no_symlink_follow|config_version"
    r"|config_check_warn_unrestricted_rules|num_workers|syslog_format|limit)$"
)
_SPECIAL: Final = re.compile(r"[.^$*+?()\[\]{}|\\]")
_UNKNOWN_HERE: Final = frozenset({"I", "compressed", "fstype"})


def import_aide(text: str) -> Imported:
    """Read an aide.conf."""
    return _Reader().read(text)


class _Reader:
    def __init__(self) -> None:
        self._groups = dict(PREDEFINED)
        self._macros: dict[str, str] = {}
        self._remarks: list[Remark] = []
        self._rules: list[Rule] = []
        self._conditions: list[bool] = []

    def read(self, text: str) -> Imported:
        for number, raw in enumerate(text.splitlines(), 1):
            line = re.sub(r"(^|\s)#.*$", "", raw).strip()
            line = re.sub(r"@@\{(\w+)\}", lambda m: self._macros.get(m[1], ""), line)
            if not line:
                continue
            if line.startswith("@@"):
                self._directive(number, line)
            elif all(self._conditions):
                self._line(number, line)
        return Imported(joined(self._rules), tuple(self._remarks))

    def _remark(self, number: int, text: str, *, is_error: bool = False) -> None:
        self._remarks.append(Remark(number, text, is_error))

    def _directive(self, number: int, line: str) -> None:
        word, _, rest = line[2:].partition(" ")
        name, _, value = rest.strip().partition(" ")
        match word:
            case "define" if all(self._conditions):
                self._macros[name] = value.strip()
            case "undef":
                self._macros.pop(name, None)
            case "ifdef" | "ifndef":
                self._conditions.append((name in self._macros) == (word == "ifdef"))
            case "ifhost" | "ifnhost" | "if":
                self._conditions.append(word == "ifnhost")
                self._remark(
                    number, f"@@{word} is read as {'true' if word == 'ifnhost' else 'false'}: conditions on hosts are not known here"
                )
            case "else" if self._conditions:
                self._conditions[-1] = not self._conditions[-1]
            case "endif" if self._conditions:
                self._conditions.pop()
            case "include" | "x_include" | "x_include_setenv":
                self._remark(number, f"{line}: included files are not read; import them one by one", is_error=word == "include")
            case _ if all(self._conditions):
                self._remark(number, f"@@{word} is not known here", is_error=True)

    def _line(self, number: int, line: str) -> None:
        if line[0] in "/!=-":
            self._selection(number, line)
            return
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            self._remark(number, f'"{line}" is no group, no option and no selection', is_error=True)
        elif not _OPTIONS.match(name):
            bits = self._bits(number, value)
            if bits is not None:
                self._groups[name] = bits

    def _selection(self, number: int, line: str) -> None:
        kind = line[0] if line[0] in "!=-" else ""
        words = line[len(kind) :].split()
        if not words or not words[0].startswith("/"):
            self._remark(number, f'"{line}" selects nothing: a path must begin with /', is_error=True)
            return
        expression, rest = words[0], words[1:]
        if rest and re.fullmatch(r"[fdlcbpsDP](,[fdlcbpsDP])*|0", rest[0]) and len(rest) > 1:
            self._remark(number, f"the restriction to kinds of objects ({rest[0]}) is not known here; the rule holds for all kinds")
            rest = rest[1:]
        bits = 0 if kind in ("!", "-") else self._bits(number, "".join(rest))
        if bits is None:
            return
        self._add(number, kind, expression, bits)

    def _add(self, number: int, kind: str, expression: str, bits: int) -> None:
        try:
            re.compile(expression)
        except re.error as error:
            self._remark(number, f'"{expression}" is no regular expression: {error}', is_error=True)
            return
        top, pattern, exact = _anchor(expression)
        watch = "Ignore" if kind in ("!", "-") else at.expression(bits | at.TYPE)
        recurse = 0 if exact and kind != "!" else 1 if kind == "=" else -1
        self._rules.append(Rule(name=f"AIDE line {number}", paths=(top,), watch=watch, pattern=pattern, recurse=recurse))

    def _bits(self, number: int, expression: str) -> int | None:
        bits = 0
        for sign, word in re.findall(r"([+-]?)([^+\s-]+)", expression):
            if word in _UNKNOWN_HERE:
                self._remark(number, f"the attribute {word} is not known here and left out")
                continue
            found = self._groups.get(word, at.aide_bits(word))
            if found is None:
                self._remark(number, f"{word} is no attribute and no group defined above", is_error=True)
                return None
            bits = bits & ~found if sign == "-" else bits | found
        return bits


def _anchor(expression: str) -> tuple[str, str, bool]:
    """The path under which an expression can match, the pattern that is still needed, and whether it means that path only."""
    plain = "".join(_literal_start(expression))
    rest = expression[_consumed(expression) :]
    if rest in ("", "/"):
        return plain.rstrip("/") or "/", "", False
    if rest == "$":
        return plain.rstrip("/") or "/", "", True
    top = plain.rpartition("/")[0] or "/"
    return top, f"^{expression}", False


def _literal_start(expression: str) -> Iterator[str]:
    place = 0
    while place < len(expression):
        char = expression[place]
        if char == "\\" and place + 1 < len(expression) and not expression[place + 1].isalnum():
            yield expression[place + 1]
            place += 2
            continue
        if _SPECIAL.match(char) or (place + 1 < len(expression) and expression[place + 1] in "*?{"):
            return
        yield char
        place += 1


def _consumed(expression: str) -> int:
    """How many characters of the expression `_literal_start` took."""
    taken = 0
    for char in _literal_start(expression):
        taken += 2 if (expression[taken] == "\\" and char != "\\") or expression[taken : taken + 2] == "\\\\" else 1
    return taken
