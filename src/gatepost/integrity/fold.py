"""Folding: a directory whose times moved because something in it came or went is not a finding of its own.

Pure. Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gatepost.integrity import attributes as at
from gatepost.integrity.compare import IMPLIED_BY_CHILDREN, Change, ChangeKind


def changed_parents(changes: Iterable[Change]) -> frozenset[bytes]:
    """Keys of directories in which something changed. A replaced file may have got the freed inode of the former, so each change counts."""
    return frozenset(c.key.rpartition(b"\0")[0] for c in changes if c.key)


def folded(change: Change, parents: frozenset[bytes], lively: Callable[[bytes], bool]) -> Change | None:
    """`change` without what the changes of its children imply; None when nothing is left.

    `lively` says whether the policy itself lets something in a directory come and go. A change time that moved alone is never implied:
    whoever makes or removes a name moves both times.
    """
    if change.kind is not ChangeKind.CHANGED or change.new is None or not change.new.is_directory:
        return change
    implied = change.attributes & IMPLIED_BY_CHILDREN
    if implied in (0, at.CTIME) or not (change.key in parents or lively(change.key)):
        return change
    left = change.attributes & ~IMPLIED_BY_CHILDREN
    return msgspec.structs.replace(change, attributes=left) if left else None
