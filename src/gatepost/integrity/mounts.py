"""What is mounted where, as text that survives a reboot, and which file systems keep an honest change time.

Not its job: deciding whether a mount is right (`compare` sees it as an attribute of the directory).
Raises: `OSError` when /proc is not there.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatepost.integrity.entry import key_of

PSEUDO: Final = frozenset(
    {"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs"}
    | {"mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs"}
)
"""File systems whose files are made up by the kernel: the mount itself is recorded, nothing below it is read."""

TRUSTED_CTIME: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "f2fs", "zfs", "squashfs", "erofs"})
"""Local file systems on which each change moves the change time. On all others content is read in every run."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """Mounts at or below a root: `at` by key, `pseudo` and `doubtful` as numbers of devices (st_dev)."""

    at: dict[bytes, str]
    pseudo: frozenset[int]
    doubtful: frozenset[int]


def read_mounts(root: Path, table: Path = Path("/proc/self/mountinfo")) -> Mounts:
    """The mounts that a walk from `root` can meet."""
    return parse_mounts(table.read_bytes(), os.fsencode(root.resolve()))


def parse_mounts(text: bytes, root: bytes = b"/") -> Mounts:
    """Read the lines of mountinfo (proc_pid_mountinfo(5)); of several mounts on one place the last is on top."""
    top = key_of(root)
    at: dict[bytes, str] = {}
    kinds: dict[int, str] = {}
    for line in text.splitlines():
        before, _, after = line.partition(b" - ")
        fields, kind = before.split(b" "), after.split(b" ")
        major, _, minor = fields[2].partition(b":")
        kinds[os.makedev(int(major), int(minor))] = kind[0].decode("ascii", "replace")
        key = key_of(_unescaped(fields[4]))
        if key != top and (not top or key.startswith(top + b"\0")):
            at[key[len(top) + 1 if top else 0 :]] = _label(kind, fields[3])
    pseudo = frozenset(device for device, name in kinds.items() if name in PSEUDO)
    doubtful = frozenset(device for device, name in kinds.items() if name not in TRUSTED_CTIME)
    return Mounts(at, pseudo, doubtful)


def _label(kind: list[bytes], inside: bytes) -> str:
    return b" ".join((kind[0], kind[1], inside)).decode("utf-8", "backslashreplace")


def _unescaped(text: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), text)
