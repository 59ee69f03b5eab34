"""The aliases file, in the form of aliases(5): who else gets mail here.

What it does: reads left sides and targets, and reports each left side that no address can ever match.
Not its job: delivering to programs, files or lists; those targets are the MTA's.
Raises: `OSError` from `read_aliases`; `check_aliases` turns it into a problem.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from gatepost.site.base import parse_address
from gatepost.site.problem import Problem

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ENTRY = re.compile(r'("(?:\\.|[^"\\])*"|[^:"]+):(.*)', re.DOTALL)


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines (a line that starts with white space goes on from the one before) with the number of their first."""
    start, entry = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and entry:
            entry += " " + line.strip()
            continue
        if entry:
            yield start, entry
        start, entry = number, line.rstrip()
    if entry:
        yield start, entry


def parse_aliases(text: str, name: str = "aliases") -> tuple[dict[str, str], list[Problem]]:
    """Left sides (lower case) with their targets, and what is wrong in file `name`."""
    aliases: dict[str, str] = {}
    problems = []
    for line, entry in _entries(text):
        match = _ENTRY.fullmatch(entry)
        left = match[1].strip().strip('"').lower() if match else ""
        wrong = _wrong(entry, left, match[2].strip() if match else "", aliases)
        if wrong:
            problems.append(Problem(name, line, "", *wrong, entry))
        elif match:
            aliases[left] = match[2].strip()
    return aliases, problems


def _wrong(entry: str, left: str, target: str, known: dict[str, str]) -> tuple[str, str] | None:
    if not left:
        return "this is not an alias", "write name: target"
    if re.search(r"\s", left):
        return f"the name {left!r} has a space and can never match an address", f"write it like {'.'.join(left.split())}: {target}"
    try:
        parse_address(left if "@" in left else f"{left}@local")
    except ValueError:
        return f"the name {left!r} can never match an address", "write the part before the @, or the whole address"
    if not target:
        return f"{left!r} has no target", f"write {entry.rstrip()} followed by an address"
    if left in known:
        return f"{left!r} is here twice", "keep one of them; separate several targets with commas"
    return None


def read_aliases(path: str | Path) -> dict[str, str]:
    """Left sides with their targets. Raises `OSError`."""
    return parse_aliases(Path(path).read_text(encoding="utf-8"), str(path))[0]


def check_aliases(path: str | None) -> list[Problem]:
    """What is wrong with the aliases file at `path`, and with who may change it; nothing when there is no path."""
    if path is None:
        return []
    try:
        mode = Path(path).stat().st_mode
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        return [
            Problem(path, 1, "", f"the aliases file cannot be read: {error.strerror}", "correct mail.recipients.aliases, or make the file")
        ]
    except UnicodeDecodeError:
        return [Problem(path, 1, "", "the aliases file is not UTF-8 text", "convert it with iconv -t UTF-8")]
    problems = parse_aliases(text, path)[1]
    if mode & _OTHERS_WRITE:
        problems.append(Problem(path, 1, "", "others than its owner may write the aliases file", f"run chmod 644 {path}"))
    return problems
