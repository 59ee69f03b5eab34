"""What one object of the file system looked like: the value that baseline, walk and comparison share.

Keys order a whole tree as a depth-first walk meets it: the path below the watched root with NUL for each slash, so that `/a/b` sorts
before `/a-b` and everything below a directory is one unbroken range. The root itself is the empty key.
Not its job: reading the file system (`walk`, `examine`) or judging (`compare`).
Raises: nothing.
"""

from __future__ import annotations

import os
import stat
from typing import Final

import msgspec

UNREAD: Final = -1
"""`Entry.flags` where the file system has none or nobody asked."""

_KINDS: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


class Stat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `lstat` says. Times in nanoseconds since the epoch, size in bytes, blocks of 512 bytes; `volume` is st_dev, `device` st_rdev."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    ctime: int
    inode: int
    links: int
    volume: int
    device: int = 0
    blocks: int = 0


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One object. `digest` is raw bytes, `flags` those of chattr, `mount` says what is mounted there ("" nothing), `atime` in nanoseconds.

    `problem` is not empty when the object could not be read whole; it is then never equal to a good one.
    """

    key: bytes
    stat: Stat
    digest: bytes = b""
    link: bytes = b""
    flags: int = UNREAD
    xattrs: tuple[tuple[str, bytes], ...] = ()
    mount: str = ""
    atime: int = 0
    problem: str = ""

    @property
    def path(self) -> bytes:
        """The absolute path below the watched root."""
        return path_of(self.key)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory itself, not a link to one."""
        return stat.S_ISDIR(self.stat.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.stat.mode)


def stat_of(found: os.stat_result) -> Stat:
    """The part of a stat result that we keep."""
    return Stat(
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_nlink,
        found.st_dev,
        found.st_rdev,
        found.st_blocks,
    )


def key_of(path: str | bytes) -> bytes:
    """The key of an absolute path; doubled and trailing slashes do not count."""
    return b"\0".join(part for part in os.fsencode(path).split(b"/") if part)


def path_of(key: bytes) -> bytes:
    """The absolute path that has this key."""
    return b"/" + key.replace(b"\0", b"/")


def child_of(parent: bytes, name: bytes) -> bytes:
    """The key of `name` in the directory `parent`."""
    return parent + b"\0" + name if parent else name


def parents_of(key: bytes) -> list[bytes]:
    """Keys of all directories above, nearest first, down to the root's empty key."""
    found = []
    while key:
        key = key.rpartition(b"\0")[0]
        found.append(key)
    return found


def below(key: bytes, top: bytes) -> bool:
    """Whether `key` is `top` or anything under it."""
    return not top or key == top or key.startswith(top + b"\0")


def kind_of(mode: int) -> str:
    """The type of an object in words."""
    return _KINDS.get(stat.S_IFMT(mode), "unknown type")


def shown(path: bytes) -> str:
    """A path as text that cannot break a line, a terminal or a table: everything unprintable is escaped."""
    text = path.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() and c != "\\" else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
