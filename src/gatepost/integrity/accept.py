"""Accepting changes: what the last report showed becomes how things should be, with who and why in the ledger.

Raises: `AcceptError`, `ChangesError`, `ChainError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gatepost.integrity.changes import kept_changes
from gatepost.integrity.compare import Change, ChangeKind
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.entry import below, key_of
from gatepost.integrity.examine import sha256_of
from gatepost.integrity.ledger import Act, Record
from gatepost.integrity.report import Report, opened_report
from gatepost.integrity.sign import Signer
from gatepost.integrity.state import State
from gatepost.system import files


class AcceptError(Exception):
    """Nothing was accepted; the message says why."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which findings: by number (from 1, as the report lists them), by path (with all below), by package, or all."""

    items: frozenset[int] = frozenset()
    paths: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    everything: bool = False


def last_report(state: State) -> Report:
    """The newest report, verified. Raises AcceptError when there is none."""
    path = state.last_report()
    if path is None:
        raise AcceptError("there is no report yet; run `gatepost integrity check` first")
    return opened_report(files.read(path), (state.host_key().public,), path.name)[0]


def accept(state: State, root: Path, choice: Choice, who: str, why: str, signer: Signer, now: float) -> list[Change]:
    """Write the chosen changes of the last report into the ledger; what was chosen. Raises AcceptError."""
    if not why.strip():
        raise AcceptError("say why: the reason stands in the ledger and in the next report")
    with state.locked():
        changes, implied = kept_changes(state, last_report(state))
        chosen = chosen_changes(changes, choice, _owned(root, choice.packages))
        if not chosen:
            raise AcceptError("none of the findings of the last report was chosen; `gatepost integrity report` lists them with numbers")
        holders = {c.key.rpartition(b"\0")[0] for c in chosen}
        items = {c.key: c.new for c in [*(d for d in implied if d.key in holders), *chosen]}
        state.add(Record(0, now, Act.ACCEPT, who, why, items=items), signer)
    return chosen


def announce(state: State, root: Path, paths: Iterable[str], who: str, why: str, signer: Signer, now: float) -> None:
    """Write into the ledger that these files are meant to be as they are now. Raises AcceptError."""
    if not why.strip():
        raise AcceptError("say why: the reason stands in the ledger and in the next report")
    with state.locked():
        contents = {key_of(path): sha256_of(root, key_of(path)) for path in paths}
        state.add(Record(0, now, Act.EXPECT, who, why, contents=contents), signer)


def chosen_changes(changes: list[Change], choice: Choice, owned: frozenset[bytes] = frozenset()) -> list[Change]:
    """The changes that a choice names. What could not be read, or must not exist, cannot be accepted."""
    tops = [key_of(path) for path in choice.paths]
    chosen = []
    for number, change in enumerate(changes, 1):
        named = choice.everything or number in choice.items or change.key in owned or any(below(change.key, top) for top in tops)
        if named and change.kind not in (ChangeKind.UNCHECKED, ChangeKind.FORBIDDEN):
            chosen.append(change)
    return chosen


def _owned(root: Path, packages: Iterable[str]) -> frozenset[bytes]:
    dpkg = Dpkg(root)
    return frozenset(key_of(path) for package in packages for path in dpkg.files(package))
