"""A run over the whole tree by several workers: make a baseline's segments, or find the changes against one.

The tree is cut into ranges of keys; a worker walks a range, merges it with the same range of the baseline and leaves its result in a
file of the run's folder. So memory stays constant, nothing but a count goes between processes, and a run that was cut off goes on
where it stopped.
Not its job: what the changes mean (`expected`, `check`).
Raises: `BaselineError`, `OSError`, and `ScanError` when a worker dies; a run that ends without an error has seen everything.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Final

import msgspec

from gatepost.integrity import attributes as at
from gatepost.integrity.compare import Change, ChangeKind, differences, merge, overlaid, same_metadata
from gatepost.integrity.entry import Entry, below
from gatepost.integrity.examine import Examiner
from gatepost.integrity.mounts import Mounts
from gatepost.integrity.policy import Policy
from gatepost.integrity.selection import Selector
from gatepost.integrity.store import Baseline, Block, Segment
from gatepost.integrity.walk import Range, Seen, Walk

RANGES: Final = 96
"""Stretches that a tree is cut into: enough for even work and for a smooth progress bar."""

_IOPRIO_SET: Final = 251
_IDLE: Final = 3 << 13


class ScanError(Exception):
    """The scan could not be finished; the message says why."""


class Tally(msgspec.Struct, frozen=True):
    """What was done: objects met, files read, bytes of content read, objects read although their metadata had not moved, changes found."""

    entries: int = 0
    read: int = 0
    bytes: int = 0
    audited: int = 0
    changes: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)))


@dataclass(frozen=True)
class Scope:
    """What all workers of a run share. `share` is the part of unmoved files that is read all the same: 1 reads all (full mode)."""

    root: Path
    policy: Policy
    mounts: Mounts
    folder: Path
    ranges: tuple[Range, ...]
    baseline: Baseline | None = None
    accepted: tuple[tuple[bytes, Entry | None], ...] = ()
    share: float = 1.0


Progress = Callable[[Tally], None]


def cut(bounds: Iterable[bytes]) -> tuple[Range, ...]:
    """Ranges between bounds, from the very beginning to the very end."""
    edges = [b"", *sorted(set(bounds) - {b""})]
    stops: list[bytes | None] = [*edges[1:], None]
    return tuple(Range(a, b) for a, b in zip(edges, stops, strict=True))


def shallow_bounds(root: Path, policy: Policy, levels: int = 3) -> list[bytes]:
    """Keys of watched directories near the root, to cut a tree that has no baseline yet."""
    found: list[bytes] = []
    waiting = [(key, 0) for key in {rule.top for rule in policy.rules if not rule.skip}]
    while waiting:
        key, level = waiting.pop()
        found.append(key)
        if level < levels:
            waiting += [(child, level + 1) for child in _directories(root, key)]
    return found


def collect(scope: Scope, workers: int, progress: Progress) -> tuple[Tally, list[tuple[Path, list[Block]]]]:
    """Describe the whole tree; the segments of a new baseline, in key order."""
    tally = _run(scope, workers, _collect_range, progress)
    return tally, [(scope.folder / _part(n), _blocks(scope.folder, n)) for n in range(len(scope.ranges))]


def compare(scope: Scope, workers: int, progress: Progress) -> Tally:
    """Compare the whole tree with the baseline; read the changes with `changes`."""
    return _run(scope, workers, _compare_range, progress)


def changes(scope: Scope) -> Iterator[Change]:
    """The changes that `compare` found, in key order."""
    for number in range(len(scope.ranges)):
        decode = msgspec.msgpack.Decoder(Change).decode
        with (scope.folder / _part(number)).open("rb") as part:
            while size := part.read(4):
                yield decode(part.read(int.from_bytes(size, "big")))


def forget(folder: Path, ranges: tuple[Range, ...], key: bytes) -> None:
    """Do the range that has `key` again, when a run goes on: its canary is a new one."""
    for number, span in enumerate(ranges):
        if span.covers(key):
            (folder / f"{number:05d}.done").unlink(missing_ok=True)


def _run(scope: Scope, workers: int, work: Callable[[int], Tally], progress: Progress) -> Tally:
    done = {n: tally for n in range(len(scope.ranges)) if (tally := _finished(scope.folder, n)) is not None}
    left = [n for n in range(len(scope.ranges)) if n not in done]
    total = reduce(Tally.__add__, done.values(), Tally())
    progress(total)
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(max(1, workers), context, _start, (scope,)) as pool:
            for tally in pool.map(work, left):
                total += tally
                progress(total)
    except BrokenProcessPool as error:
        raise ScanError("a worker was killed (out of memory?); the next run goes on where this one stopped") from error
    return total


class _Worker:
    """State of one worker process."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.selector = Selector(scope.policy)
        self.walk = Walk(scope.root, self.selector, scope.mounts)
        self.examiner = Examiner(scope.policy.algorithm)
        self.baseline = scope.baseline.reopened() if scope.baseline else None
        self.dice = random.Random(os.urandom(32)).random  # noqa: S311 - seeded anew from the kernel, nobody can foresee it


_worker: _Worker


def _start(scope: Scope) -> None:
    global _worker  # noqa: PLW0603 - each worker process has one
    os.nice(10)
    ctypes.CDLL(None).syscall(_IOPRIO_SET, 1, 0, _IDLE)
    _worker = _Worker(scope)


def _collect_range(number: int) -> Tally:
    span, folder = _worker.scope.ranges[number], _worker.scope.folder
    entries, before = 0, _worker.examiner.bytes_read
    with (folder / _part(number)).open("wb") as out:
        segment = Segment(out)
        for seen in _worker.walk.within(span):
            entry = _worker.examiner.look(seen)
            if entry is not None:
                segment.add(entry)
                entries += 1
        segment.flush()
    (folder / f"{number:05d}.index").write_bytes(msgspec.msgpack.encode(segment.blocks))
    return _finish(folder, number, Tally(entries, entries, _worker.examiner.bytes_read - before))


def _compare_range(number: int) -> Tally:
    span, folder = _worker.scope.ranges[number], _worker.scope.folder
    judge = _Judge(_worker)
    with (folder / _part(number)).open("wb") as out:
        pack = msgspec.msgpack.Encoder().encode
        for change in judge.changes(span):
            data = pack(change)
            out.write(len(data).to_bytes(4, "big") + data)
    return _finish(folder, number, judge.tally())


class _Judge:
    """Walks one range beside the baseline and says what differs."""

    def __init__(self, worker: _Worker) -> None:
        self._worker = worker
        self._look = worker.examiner.look
        self._share = worker.scope.share
        self._doubtful = worker.scope.mounts.doubtful
        self._before = worker.examiner.bytes_read
        self._blind: bytes | None = None
        self.entries = self.read = self.audited = self.found = 0

    def tally(self) -> Tally:
        """What was done so far."""
        return Tally(self.entries, self.read, self._worker.examiner.bytes_read - self._before, self.audited, self.found)

    def changes(self, span: Range) -> Iterator[Change]:
        """Everything that differs in `span`."""
        baseline = self._worker.baseline
        assert baseline is not None
        accepted = [item for item in self._worker.scope.accepted if span.covers(item[0])]
        olds: Iterable[Entry] = baseline.entries(span.start, span.stop)
        olds = overlaid(olds, accepted) if accepted else olds
        for old, seen in merge(olds, self._worker.walk.within(span)):
            if old is not None and seen is not None and self._unmoved(old, seen):
                self.entries += 1
                continue
            change = self._judge(old, seen)
            if change is not None:
                self.found += 1
                yield change

    def _unmoved(self, old: Entry, seen: Seen) -> bool:
        """Whether the metadata speak for the content, so that nothing need be read."""
        if self._share >= 1 or seen.rule.always or not same_metadata(old, seen.stat, seen.mount) or seen.problem:
            return False
        if seen.stat.volume in self._doubtful or seen.rule.attributes & at.ATIME:
            return False
        if self._worker.dice() >= self._share:
            return True
        self.audited += 1
        return False

    def _judge(self, old: Entry | None, seen: Seen | None) -> Change | None:
        if seen is None:
            return self._gone(old) if old is not None else None
        self.entries += 1
        entry = self._look(seen, prefix=old.stat.size if old is not None else None)
        self.read += 1
        if entry is None:
            return self._gone(old) if old is not None else None
        rule = seen.rule
        if entry.problem:
            if seen.key.endswith(b"\0"):
                self._blind = seen.key[:-1]
            return Change(seen.key, ChangeKind.UNCHECKED, rule.name, rule.severity, 0, old, entry)
        if old is None:
            return None if rule.attributes & at.MAY_APPEAR else Change(seen.key, ChangeKind.ADDED, rule.name, rule.severity, 0, None, entry)
        bits = differences(old, entry, rule.attributes)
        return Change(seen.key, ChangeKind.CHANGED, rule.name, rule.severity, bits, old, entry) if bits else None

    def _gone(self, old: Entry) -> Change | None:
        """The removal of `old`, unless it lies where nobody could look."""
        if self._blind is not None and below(old.key, self._blind):
            return None
        rule = self._worker.selector.lookup(old.key)
        if rule is None or rule.attributes & at.MAY_VANISH:
            return None
        return Change(old.key, ChangeKind.REMOVED, rule.name, rule.severity, 0, old)


def _part(number: int) -> str:
    return f"{number:05d}.part"


def _blocks(folder: Path, number: int) -> list[Block]:
    return msgspec.msgpack.decode((folder / f"{number:05d}.index").read_bytes(), type=list[Block])


def _finish(folder: Path, number: int, tally: Tally) -> Tally:
    """Mark a range as done: its part is complete before the mark is there."""
    mark = folder / f"{number:05d}.done"
    fresh = mark.with_suffix(".new")
    fresh.write_bytes(msgspec.msgpack.encode(tally))
    fresh.rename(mark)
    return tally


def _finished(folder: Path, number: int) -> Tally | None:
    mark = folder / f"{number:05d}.done"
    return msgspec.msgpack.decode(mark.read_bytes(), type=Tally) if mark.exists() else None


def _directories(root: Path, key: bytes) -> list[bytes]:
    place = os.fsencode(root) + b"/" + key.replace(b"\0", b"/")
    try:
        with os.scandir(place) as found:
            return [key + b"\0" + item.name if key else item.name for item in found if item.is_dir(follow_symlinks=False)]
    except OSError:
        return []
