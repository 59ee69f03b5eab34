"""The walk: everything that a policy watches, in key order, from a start to a stop key, in constant memory.

It works with descriptors of directories, so that neither a path that is longer than the kernel takes nor a directory that is
swapped for a link under our feet leads it astray. Links are never followed, made-up file systems never entered.
Not its job: content and extended attributes (`examine`).
Raises: `OSError` when the root cannot be opened; a directory that cannot be read further down becomes a `Seen` with a problem.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gatepost.integrity.entry import Stat, child_of, stat_of
from gatepost.integrity.mounts import Mounts
from gatepost.integrity.policy import Rule
from gatepost.integrity.selection import Scope, Selector

DEEPEST: Final = 800
"""Levels of directories that are entered; each holds a descriptor. What lies deeper is reported as unchecked."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Seen(NamedTuple):
    """One watched object as the walk meets it. `directory` is an open descriptor of the directory that holds `name`, valid until the next one."""

    key: bytes
    directory: int
    name: str
    stat: Stat
    atime: int
    mount: str
    rule: Rule
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """Keys from `start` up to, not including, `stop` (None: to the end)."""

    start: bytes = b""
    stop: bytes | None = None

    def covers(self, key: bytes) -> bool:
        """Whether `key` itself is inside."""
        return key >= self.start and (self.stop is None or key < self.stop)

    def touches(self, key: bytes) -> bool:
        """Whether anything below the directory `key` can be inside."""
        return key + b"\1" > self.start and (self.stop is None or key < self.stop)


def open_directory(name: str, parent: int | None = None) -> int:
    """Open a directory for reading without leaving a trace in its access time, where the kernel lets us."""
    try:
        return os.open(name, _DIRECTORY | os.O_NOATIME, dir_fd=parent)
    except PermissionError:
        return os.open(name, _DIRECTORY, dir_fd=parent)


class Walk:
    """A walk below `root`; iterate over `within(range)`."""

    def __init__(self, root: Path, selector: Selector, mounts: Mounts) -> None:
        self._root = root
        self._selector = selector
        self._mounts = mounts

    def within(self, span: Range) -> Iterator[Seen]:
        """Everything watched in `span`, in key order."""
        top = open_directory(os.fspath(self._root))
        try:
            choice = self._selector.root()
            found = os.fstat(top)
            if choice.rule and span.covers(b""):
                yield Seen(b"", top, ".", stat_of(found), found.st_atime_ns, "", choice.rule)
            if choice.inside is not None:
                yield from self._children(top, b"", choice.inside, choice.rule, 1, span)
        finally:
            os.close(top)

    def _children(self, directory: int, parent: bytes, scope: Scope, holder: Rule | None, level: int, span: Range) -> Iterator[Seen]:
        special, mounts = self._selector.special, self._mounts.at
        for name, item in _sorted(directory):
            key = child_of(parent, name)
            if span.stop is not None and key >= span.stop:
                return
            if key + b"\1" <= span.start:
                continue
            rule, inside = scope.plain, scope
            if not scope.simple or special(key):
                choice = self._selector.child(scope, parent, name, level)
                if choice.rule is None and choice.inside is None:
                    continue
                rule, inside = choice.rule, choice.inside  # type: ignore[assignment]
            try:
                found = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            mount = mounts.get(key, "") if mounts else ""
            if rule is not None and key >= span.start:
                yield Seen(key, directory, item.name, stat_of(found), found.st_atime_ns, mount, rule)
            if inside is not None and stat.S_ISDIR(found.st_mode) and found.st_dev not in self._mounts.pseudo and span.touches(key):
                yield from self._descend(directory, item.name, key, inside, rule or holder, level, span)

    def _descend(self, directory: int, name: str, key: bytes, scope: Scope, rule: Rule | None, level: int, span: Range) -> Iterator[Seen]:
        problem = ""
        try:
            child = open_directory(name, directory)
        except FileNotFoundError:
            return
        except OSError as error:
            child, problem = -1, error.strerror or "cannot be opened"
        try:
            if child >= 0 and level < DEEPEST:
                yield from self._children(child, key, scope, rule, level + 1, span)
            elif rule is not None:
                yield self._unread(directory, name, key, rule, problem or f"deeper than {DEEPEST} levels")
        finally:
            if child >= 0:
                os.close(child)

    def _unread(self, directory: int, name: str, key: bytes, rule: Rule, problem: str) -> Seen:
        """A directory whose inside nobody saw: a child with an empty name, which no real one has, stands for all of it."""
        nothing = Stat(stat.S_IFDIR, 0, 0, 0, 0, 0, 0, 0, 0)
        return Seen(key + b"\0", directory, name, nothing, 0, "", rule, problem)


def _sorted(directory: int) -> list[tuple[bytes, os.DirEntry[str]]]:
    with os.scandir(directory) as found:
        return sorted(((os.fsencode(item.name), item) for item in found), key=_name)


def _name(item: tuple[bytes, os.DirEntry[str]]) -> bytes:
    return item[0]
