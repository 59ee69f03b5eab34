"""The live watch: who changes what is watched, seen as it happens, beside the nightly walk that proves it.

It proves itself too: every minute it touches its own canary and must see that. A queue that overflowed, or a canary that was not seen,
is an alarm and asks for a walk, because then something may have been missed.
Not its job: deciding whether a change was meant; the next check does.
Raises: `OSError` where fanotify cannot be had.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from gatepost.integrity import attributes as at
from gatepost.integrity.entry import key_of, shown
from gatepost.integrity.fanotify import Group, Notice
from gatepost.integrity.heartbeat import Heartbeat
from gatepost.integrity.notify import ALIVE, CHANGE, Emit
from gatepost.integrity.policy import Policy
from gatepost.integrity.selection import Selector
from gatepost.system import files

INTERVAL: Final = 60.0
"""Seconds between two canaries."""

PATIENCE: Final = 5.0
"""Seconds in which a canary must be seen."""

HOUR: Final = 3600.0
"""Seconds between two signs of life in the journal."""


@dataclass(frozen=True, slots=True)
class Doer:
    """The process behind a change, as far as it can still be known: short-lived ones may be gone."""

    pid: int
    program: str
    user: int

    @classmethod
    def of(cls, pid: int) -> Doer:
        """Look it up."""
        try:
            return cls(pid, str(Path(f"/proc/{pid}/exe").readlink()), Path(f"/proc/{pid}").stat().st_uid)
        except OSError:
            return cls(pid, "", -1)


class Watch:
    """Watches for `policy` below `root`; `walk` is called when events may have been missed."""

    def __init__(self, root: Path, policy: Policy, folder: Path, emit: Emit, walk: Callable[[], None]) -> None:
        self._root = os.fsencode(root.resolve()).rstrip(b"/")
        self._selector = Selector(policy)
        self._emit = emit
        self._walk = walk
        self._folder = folder
        self._canary = os.fsencode(folder.resolve()) + b"/watch-canary"
        self._lost = 0
        self._sent = 0.0
        self._seen = 0.0
        self._said = 0.0
        self._recent: dict[tuple[bytes, int, str], float] = {}
        self._own = os.getpid()
        self._group = Group(_file_systems(Path(os.fsdecode(self._root) or "/"), folder))

    def run(self, until: Callable[[], bool]) -> None:
        """Watch until told to stop."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._group.fd, selectors.EVENT_READ)
            while not until():
                self._sing(time.monotonic())
                selector.select(timeout=0.5)
                self.handle(self._group.read(), time.monotonic())
        self._group.close()

    def handle(self, notices: list[Notice], now: float) -> None:
        """Take what happened."""
        for notice in notices:
            if notice.is_overflow:
                self._lost += 1
                self._emit(
                    "integrity.watch.overflow", "watch", {"lost": self._lost, "text": "the kernel's queue ran over; a check follows"}
                )
                self._walk()
            elif notice.path == self._canary:
                self._seen = now
                self._beat()
            elif notice.path and notice.pid != self._own:
                self._tell(notice, now)

    def _sing(self, now: float) -> None:
        """Touch the canary; if the last one was not seen in time, say so and ask for a walk."""
        if self._sent and self._seen < self._sent and now - self._sent > PATIENCE:
            silent = round(now - self._sent, 1)
            self._emit(
                "integrity.watch.deaf", "watch", {"seconds": silent, "text": f"its canary was not seen for {silent} s; a check follows"}
            )
            self._walk()
            self._sent = 0.0
        if now - self._sent > INTERVAL or not self._sent:
            self._sent = now
            Path(os.fsdecode(self._canary)).write_bytes(os.urandom(8).hex().encode())

    def _beat(self) -> None:
        beat = Heartbeat(time.time(), self._own, self._lost)
        files.write_atomic(self._folder / "heartbeat", msgspec.json.encode(beat))
        if beat.at - self._said > HOUR:
            self._said = beat.at
            self._emit(ALIVE, "watch", {"pid": self._own, "lost": self._lost})

    def _tell(self, notice: Notice, now: float) -> None:
        inside = notice.path.removeprefix(self._root) if notice.path.startswith(self._root + b"/") else b""
        rule = self._selector.lookup(key_of(inside)) if inside else None
        if rule is None or not rule.attributes & at.CONTENT or self._told_lately(notice, now):
            return
        doer = Doer.of(notice.pid)
        data = {
            "what": notice.words,
            "rule": rule.name,
            "severity": rule.severity,
            "pid": doer.pid,
            "program": doer.program,
            "user": doer.user,
        }
        self._emit(CHANGE, shown(inside), data)

    def _told_lately(self, notice: Notice, now: float) -> bool:
        """A program that writes one file a thousand times is one line a second."""
        key = (notice.path, notice.pid, notice.words)
        if now - self._recent.get(key, -9.0) < 1.0:
            return True
        if len(self._recent) > 10_000:  # noqa: PLR2004 - a bound on memory
            self._recent.clear()
        self._recent[key] = now
        return False


def _file_systems(*places: Path) -> list[Path]:
    """One place for each file system, so that each is marked once."""
    found: dict[int, Path] = {}
    for place in places:
        found.setdefault(place.stat().st_dev, place)
    return list(found.values())
