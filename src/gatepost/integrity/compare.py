"""Comparison of two trees: a merge of two streams in key order, and the attributes in which two entries differ.

Everything here is pure and takes constant memory; a shell brings the streams and decides what to read again (`scan`).
Raises: `OrderError` when a stream is not in key order, because then a merge would see changes that are none.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeVar

import msgspec

from gatepost.integrity import attributes as at
from gatepost.integrity.entry import Entry, Stat


class OrderError(ValueError):
    """A stream of entries is not in ascending order of keys."""


class ChangeKind(enum.StrEnum):
    """What happened to an object. UNCHECKED: it could not be read; FORBIDDEN: it must not exist and does."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHECKED = "unchecked"
    FORBIDDEN = "forbidden"


class Change(msgspec.Struct, frozen=True):
    """One difference between what was and what is. `attributes` is a mask of `attributes`, 0 for added and removed objects."""

    key: bytes
    kind: ChangeKind
    rule: str
    severity: int
    attributes: int = 0
    old: Entry | None = None
    new: Entry | None = None


class Keyed(Protocol):
    """Anything with a key."""

    @property
    def key(self) -> bytes:
        """Its place in the order."""
        ...


Old = TypeVar("Old", bound=Keyed)
New = TypeVar("New", bound=Keyed)

ACL_NAMES: Final = frozenset({"system.posix_acl_access", "system.posix_acl_default"})
CAPABILITY_NAME: Final = "security.capability"
SELINUX_NAME: Final = "security.selinux"

IMPLIED_BY_CHILDREN: Final = at.SIZE | at.BLOCKS | at.MTIME | at.CTIME | at.LINKS
"""What changes in a directory whenever something is made or removed in it."""


def merge(old: Iterable[Old], new: Iterable[New]) -> Iterator[tuple[Old | None, New | None]]:
    """Pairs of both streams by key. Raises OrderError."""
    olds, news = _ordered(old), _ordered(new)
    left, right = next(olds, None), next(news, None)
    while left is not None and right is not None:
        if left.key == right.key:
            yield left, right
            left, right = next(olds, None), next(news, None)
        elif left.key < right.key:
            yield left, None
            left = next(olds, None)
        else:
            yield None, right
            right = next(news, None)
    while left is not None:
        yield left, None
        left = next(olds, None)
    while right is not None:
        yield None, right
        right = next(news, None)


def overlaid(base: Iterable[Entry], accepted: Iterable[tuple[bytes, Entry | None]]) -> Iterator[Entry]:
    """The baseline with what was accepted since put over it; None means that the object's absence was accepted. Both in key order."""
    for old, late in merge(base, (_Accepted(key, entry) for key, entry in accepted)):
        if late is None:
            if old is not None:
                yield old
        elif late.entry is not None:
            yield late.entry


def differences(old: Entry, new: Entry, mask: int) -> int:
    """The attributes, of those in `mask`, in which two entries differ."""
    if old == new:
        return 0
    found = 0
    for bit, differ in _TESTS:
        if mask & bit and differ(old, new):
            found |= bit
    return found


def same_metadata(old: Entry, stat: Stat, mount: str) -> bool:
    """Whether nothing that a kernel updates by itself has moved: then an honest kernel says that the content has not either."""
    return old.stat == stat and old.mount == mount and not old.problem


class _Accepted(msgspec.Struct):
    key: bytes
    entry: Entry | None


def _ordered(stream: Iterable[Old]) -> Iterator[Old]:
    last: bytes | None = None
    for item in stream:
        key = item.key
        if last is not None and key <= last:
            raise OrderError(f"entries out of order: {key!r} after {last!r}")
        last = key
        yield item


def _shrunk(old: Entry, new: Entry) -> bool:
    """A growing file: `new.digest` covers as many bytes as the old one had (see `examine`)."""
    return new.stat.size < old.stat.size or (old.digest != new.digest) or (old.stat.inode != new.stat.inode)


def _others(entry: Entry) -> list[tuple[str, bytes]]:
    return [x for x in entry.xattrs if x[0] not in ACL_NAMES and x[0] not in (CAPABILITY_NAME, SELINUX_NAME)]


def _named(entry: Entry, names: Iterable[str]) -> list[bytes]:
    return [value for name, value in entry.xattrs if name in names]


def _tests() -> tuple[tuple[int, Callable[[Entry, Entry], bool]], ...]:
    return (
        (at.TYPE, lambda o, n: o.stat.mode >> 12 != n.stat.mode >> 12),
        (at.MODE, lambda o, n: (o.stat.mode ^ n.stat.mode) & 0o7777 != 0),
        (at.UID, lambda o, n: o.stat.uid != n.stat.uid),
        (at.GID, lambda o, n: o.stat.gid != n.stat.gid),
        (at.SIZE, lambda o, n: o.stat.size != n.stat.size),
        (at.BLOCKS, lambda o, n: o.stat.blocks != n.stat.blocks),
        (at.MTIME, lambda o, n: o.stat.mtime != n.stat.mtime),
        (at.CTIME, lambda o, n: o.stat.ctime != n.stat.ctime),
        (at.ATIME, lambda o, n: o.atime != n.atime),
        (at.INODE, lambda o, n: o.stat.inode != n.stat.inode),
        (at.LINKS, lambda o, n: o.stat.links != n.stat.links),
        (at.VOLUME, lambda o, n: o.stat.volume != n.stat.volume),
        (at.DEVICE, lambda o, n: o.stat.device != n.stat.device),
        (at.LINK, lambda o, n: o.link != n.link),
        (at.FLAGS, lambda o, n: o.flags != n.flags),
        (at.XATTRS, lambda o, n: _others(o) != _others(n)),
        (at.ACL, lambda o, n: _named(o, ACL_NAMES) != _named(n, ACL_NAMES)),
        (at.CAPABILITIES, lambda o, n: _named(o, (CAPABILITY_NAME,)) != _named(n, (CAPABILITY_NAME,))),
        (at.SELINUX, lambda o, n: _named(o, (SELINUX_NAME,)) != _named(n, (SELINUX_NAME,))),
        (at.CONTENT, lambda o, n: o.digest != n.digest),
        (at.MOUNT, lambda o, n: o.mount != n.mount),
        (at.GROWING, _shrunk),
    )


_TESTS: Final = _tests()
