"""A small host to watch: a tree, a state folder, and the few calls that tests make."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatepost.integrity.accept import Choice, accept
from gatepost.integrity.baseline import Made, Watched, make_baseline
from gatepost.integrity.check import Options, check
from gatepost.integrity.report import Report
from gatepost.integrity.state import State
from gatepost.site.integrity import Integrity, Rule

EVERYTHING = Integrity(rules=(Rule(name="All", paths=("/",)),), canary="/canary", share=0)


@dataclass
class Host:
    """A tree and the state that remembers it."""

    folder: Path
    section: Integrity = field(default_factory=lambda: EVERYTHING)

    @property
    def tree(self) -> Path:
        """The watched tree."""
        return self.folder / "tree"

    @property
    def watched(self) -> Watched:
        """The host as the room sees it."""
        return Watched(self.section, State(self.folder / "state", self.section.signer, self.section.strict), self.tree, "host")

    def init(self) -> Made:
        """Make a baseline."""
        self.watched.state.prepare()
        return make_baseline(self.watched, "tester", "test", self.watched.state.host_key(), lambda _: None)

    def check(self, *, full: bool = True, nonce: str = "", **more: object) -> Report:
        """Check, without a word."""
        return check(self.watched, Options(full, nonce, **more), lambda _: None)  # type: ignore[arg-type]

    def accept(self, why: str = "meant", **choice: object) -> int:
        """Accept findings of the last check; how many."""
        state = self.watched.state
        return len(accept(state, self.tree, Choice(**choice), "tester", why, state.host_key(), 1.0))  # type: ignore[arg-type]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder on a disk, as hosts have: tmpfs keeps no time for a write by mmap, and counts names in a folder's size."""
    with on_disk() as folder:
        yield folder


@contextmanager
def on_disk() -> Iterator[Path]:
    """A folder below /var/tmp until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-integrity-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with two files and a directory."""
    made = Host(tmp_path)
    (made.tree / "bin").mkdir(parents=True)
    (made.tree / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (made.tree / "motd").write_bytes(b"welcome\n")
    return made
