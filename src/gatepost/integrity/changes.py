"""The unexplained changes of the last check, kept whole so that exactly what was shown can be accepted later.

Raises: `ChangesError` when the file is not the one that the report names; `OSError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from gatepost.integrity.compare import Change
from gatepost.integrity.report import Report
from gatepost.integrity.state import State
from gatepost.system import files


class ChangesError(Exception):
    """What would be accepted is not what the report showed."""


def keep_changes(state: State, changes: Sequence[Change], implied: Sequence[Change]) -> str:
    """Write the changes, and those of directories that they imply; the digest for the report."""
    data = msgspec.msgpack.encode((list(changes), list(implied)))
    files.write_atomic(state.folder / "changes", data)
    return hashlib.sha256(data).hexdigest()


def kept_changes(state: State, report: Report) -> tuple[list[Change], list[Change]]:
    """The changes behind `report`, and those of directories that they imply. Raises ChangesError."""
    path = state.folder / "changes"
    data = files.read(path) if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != report.changes:
        raise ChangesError(f"{path} is not what report {report.sequence} was made from; run `gatepost integrity check` again")
    return msgspec.msgpack.decode(data, type=tuple[list[Change], list[Change]])
