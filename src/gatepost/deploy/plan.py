"""What would change on the machine: the files that the rooms want, compared with the files that are there.

What it does: gives each file one of a closed set of fates. A file that Gatepost did not write, or that somebody changed since, is a
conflict: it is never overwritten unless its path is named.
Not its job: reading the machine (`deploy.machine`), writing (`deploy.transaction`).
Raises: nothing.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gatepost.system.artifact import Activation, Artifact


@dataclass(frozen=True, slots=True)
class Present:
    """A file as it is: content, mode, numbers of user and group."""

    content: bytes
    mode: int
    uid: int
    gid: int


class Fate(StrEnum):
    """What happens to a file."""

    SAME = "same"
    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Change:
    """One file: what is there (None: nothing), what shall be there (None: nothing), and why it is a conflict."""

    path: Path
    fate: Fate
    before: Present | None
    after: Present | None
    activation: Activation | None = None
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every file, in the order in which they will be written."""

    changes: tuple[Change, ...]

    @property
    def work(self) -> tuple[Change, ...]:
        """What is really to be done."""
        return tuple(one for one in self.changes if one.fate in {Fate.CREATE, Fate.CHANGE, Fate.REMOVE})

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """What stops the plan."""
        return tuple(one for one in self.changes if one.fate is Fate.CONFLICT)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Who takes up what is done, each once."""
        return tuple(dict.fromkeys(one.activation for one in self.work if one.activation))


def digest(content: bytes) -> str:
    """The mark by which a file is known again."""
    return hashlib.sha256(content).hexdigest()


def compare(
    wanted: Iterable[tuple[Artifact, Present]],
    present: Mapping[Path, Present | None],
    owned: Mapping[Path, str],
    take: frozenset[Path] = frozenset(),
) -> Plan:
    """The plan. `owned` has the digests of files as Gatepost last wrote them; `take` are paths that may be overwritten all the same."""
    changes = [_change(one, after, present.get(one.path), owned, take) for one, after in wanted]
    kept = {one.path for one in changes}
    return Plan((*changes, *(_removal(path, present.get(path), owned, take) for path in owned if path not in kept and present.get(path))))


def _change(one: Artifact, after: Present, before: Present | None, owned: Mapping[Path, str], take: frozenset[Path]) -> Change:
    if before == after:
        return Change(one.path, Fate.SAME, before, after, one.activation)
    if before is None:
        return Change(one.path, Fate.CREATE, None, after, one.activation)
    conflict = "" if before.content == after.content else _conflict(one.path, before, owned, take)
    return Change(one.path, Fate.CONFLICT if conflict else Fate.CHANGE, before, after, one.activation, conflict)


def _removal(path: Path, before: Present | None, owned: Mapping[Path, str], take: frozenset[Path]) -> Change:
    conflict = _conflict(path, before, owned, take) if before else ""
    return Change(path, Fate.CONFLICT if conflict else Fate.REMOVE, before, None, None, conflict)


def _conflict(path: Path, before: Present, owned: Mapping[Path, str], take: frozenset[Path]) -> str:
    if path in take:
        return ""
    if path not in owned:
        return "Gatepost did not write this file"
    return "" if owned[path] == digest(before.content) else "somebody changed this file since Gatepost wrote it"


def diff(change: Change) -> list[str]:
    """The lines of a unified diff; files that others may not read are not shown."""
    before, after = change.before, change.after
    if any(one and not one.mode & 0o004 for one in (before, after)):
        return ["(not shown: others may not read this file)"]
    old, new = ((one.content.decode("utf-8", "replace").splitlines() if one else []) for one in (before, after))
    lines = list(difflib.unified_diff(old, new, str(change.path), str(change.path), lineterm="", n=2))
    if before and after and (before.mode, before.uid, before.gid) != (after.mode, after.uid, after.gid):
        lines.append(f"owner and mode: {before.uid}:{before.gid} {before.mode:04o} -> {after.uid}:{after.gid} {after.mode:04o}")
    return lines
