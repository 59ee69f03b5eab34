"""What comes out of reading somebody else's policy: our rules, and a remark for everything that an administrator should know.

Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import tomlkit

from gatepost.site.integrity import Rule


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about one line of the source: an error in it, a meaning that changes, or advice. `line` from 1."""

    line: int
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """Rules in the order of the source, and remarks by line."""

    rules: tuple[Rule, ...]
    remarks: tuple[Remark, ...]

    @property
    def errors(self) -> tuple[Remark, ...]:
        """The remarks that say that a line was not understood."""
        return tuple(remark for remark in self.remarks if remark.is_error)


def joined(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Neighbours that differ in their paths only, as one rule."""
    found: list[Rule] = []
    for rule in rules:
        if found and rule.model_copy(update={"paths": found[-1].paths}) == found[-1]:
            found[-1] = rule.model_copy(update={"paths": (*found[-1].paths, *rule.paths)})
        else:
            found.append(rule)
    return tuple(found)


def as_toml(rules: tuple[Rule, ...]) -> str:
    """The rules for the site file."""
    table = tomlkit.aot()
    for rule in rules:
        item = tomlkit.table()
        for name, value in rule.model_dump(exclude_defaults=True).items():
            item.add(name, list(value) if isinstance(value, tuple) else value)
        table.append(item)
    document = tomlkit.document()
    section = tomlkit.table(is_super_table=True)
    section.add("rules", table)
    document.add("integrity", section)
    return tomlkit.dumps(document)
