"""Bringing the text of an older site file to today's form, and leaving everything else in it as it stands.

What it does: edits the very characters of the keys that changed (`changes`); comments, order and line ends stay. Only a comment behind a key
that is gone goes with it.
Not its job: files, or any other mistake in the text (`load`).
Raises: `tomllib.TOMLDecodeError` for a text that is not TOML.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from gatepost.site.changes import Change, changed
from gatepost.site.lines import Path, Place, line_index, places


@dataclass(frozen=True, slots=True)
class Step:
    """One key that is of an older form, and on which line. `blocked` says that its new name is taken: an administrator must choose."""

    line: int
    path: Path
    change: Change
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The text in today's form, and each step to it in the order of lines."""

    before: str
    after: str
    steps: tuple[Step, ...]

    def diff(self, name: str) -> list[str]:
        """The lines of a unified diff."""
        texts = (self.before.splitlines(), self.after.splitlines())
        return list(difflib.unified_diff(*texts, name, f"{name} (upgraded)", lineterm="", n=2))


def upgrade(text: str) -> Upgrade:
    """What an older site file becomes; nothing is changed in a file of today's form."""
    data, found, lines = tomllib.loads(text), places(text), line_index(text)
    steps = sorted(_steps(data, found, lines), key=lambda step: found[step.path].start)
    after = text
    # From the end, so that no edit moves the place of another.
    for step in reversed(steps):
        if not step.blocked:
            start, end, new = _edit(after, found[step.path], step.change, _value(data, step.path))
            after = after[:start] + new + after[end:]
    return Upgrade(text, after, tuple(steps))


def _steps(data: object, found: dict[Path, Place], lines: dict[Path, int]) -> Iterator[Step]:
    for path in found:
        if change := changed(path, _value(data, path)):
            yield Step(lines[path], path, change, blocked=bool(change.to) and (*path[:-1], change.to) in lines)


def _value(data: object, path: Path) -> object:
    for step in path:
        data = data[step]  # type: ignore[index]  # the path was read from the same text
    return data


def _edit(text: str, place: Place, change: Change, value: object) -> tuple[int, int, str]:
    """From where to where something else is written, and what."""
    if change.to:
        return *place.name, change.to
    if change.rewrite:
        return *place.value, change.rewrite(value)
    return *(_within_braces(text, place) if place.inline else _whole_lines(text, place)), ""


def _whole_lines(text: str, place: Place) -> tuple[int, int]:
    end = text.find("\n", place.value[1])
    return text.rfind("\n", 0, place.start) + 1, len(text) if end < 0 else end + 1


def _within_braces(text: str, place: Place) -> tuple[int, int]:
    """The pair with one of the commas round it."""
    if behind := re.compile(r"\s*,\s*").match(text, place.value[1]):
        return place.start, behind.end()
    before = re.search(r"\s*,\s*$", text[: place.start])
    return before.start() if before else place.start, place.value[1]
