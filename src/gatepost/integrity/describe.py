"""Changes in words: what each attribute was and is, for people. Knows how ACLs, capabilities, flags and times are written.

Not its job: which changes there are (`compare`), or how a report looks (`report`).
Raises: nothing; what cannot be decoded is shown in hex.
"""

from __future__ import annotations

import datetime as dt
import stat
import struct
from collections.abc import Callable
from typing import Final

from gatepost.integrity import attributes as at
from gatepost.integrity.compare import ACL_NAMES, CAPABILITY_NAME, SELINUX_NAME
from gatepost.integrity.entry import UNREAD, Entry, kind_of, shown

_ACL_TAGS: Final = {0x01: "user:", 0x02: "user:{}", 0x04: "group:", 0x08: "group:{}", 0x10: "mask:", 0x20: "other:"}
_FLAG_LETTERS: Final = {
    0x1: "s", 0x2: "u", 0x4: "c", 0x8: "S", 0x10: "i", 0x20: "a", 0x40: "d", 0x80: "A", 0x4000: "j", 0x8000: "t",
    0x10000: "D", 0x20000: "T", 0x20000000: "P", 0x40000000: "F", 0x100000: "V", 0x800000: "C", 0x2000000: "x",
}  # fmt: skip
_CAPABILITIES: Final = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
]


def details(old: Entry, new: Entry, bits: int) -> list[tuple[str, str, str]]:
    """Attribute, former and present value, for each bit of a change."""
    return [(a.word, _SHOW[a.bit](old), _SHOW[a.bit](new)) for a in at.ATTRIBUTES if bits & a.bit]


def summary(entry: Entry) -> str:
    """One object in a few words, for something that appeared or went."""
    size = f", {entry.stat.size:,} bytes" if entry.is_file else ""
    target = f" to {shown(entry.link)}" if entry.link else ""
    return f"{kind_of(entry.stat.mode)}{target}, {mode_text(entry)}, owner {entry.stat.uid}:{entry.stat.gid}{size}"


def mode_text(entry: Entry) -> str:
    """The permission bits as ls shows them, and in octal."""
    return f"{stat.filemode(entry.stat.mode)[1:]} ({stat.S_IMODE(entry.stat.mode):04o})"


def flags_text(flags: int) -> str:
    """The flags as lsattr shows them."""
    if flags == UNREAD:
        return "not known"
    letters = "".join(letter for bit, letter in _FLAG_LETTERS.items() if flags & bit)
    rest = flags & ~sum(_FLAG_LETTERS)
    return (letters + (f" +{rest:#x}" if rest else "")) or "none"


def acl_text(value: bytes) -> str:
    """A POSIX ACL (acl(5)) as getfacl shows it, in one line."""
    if len(value) < 4 or (len(value) - 4) % 8:  # noqa: PLR2004 - a version word, then entries of 8 bytes
        return value.hex()
    entries = [struct.unpack_from("<HHI", value, offset) for offset in range(4, len(value), 8)]
    return ",".join(f"{_ACL_TAGS.get(tag, f'{tag}:{{}}').format(who)}:{_rwx(rights)}" for tag, rights, who in entries)


def capability_text(value: bytes) -> str:
    """A file capability (capabilities(7)) as getcap shows it."""
    if len(value) not in (12, 20, 24):
        return value.hex()
    magic, permitted, inherited = struct.unpack_from("<III", value)
    if len(value) >= 20:  # noqa: PLR2004 - version 2 and 3 have two words each
        high, high_inherited = struct.unpack_from("<II", value, 12)
        permitted, inherited = permitted | high << 32, inherited | high_inherited << 32
    names = [f"cap_{_CAPABILITIES[n] if n < len(_CAPABILITIES) else n}" for n in range(64) if (permitted | inherited) >> n & 1]
    sets = ("e" if magic & 1 else "") + ("i" if inherited else "") + ("p" if permitted else "")
    return f"{','.join(names)}={sets}"


def time_text(nanoseconds: int) -> str:
    """A time in UTC, to the microsecond."""
    try:
        moment = dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return f"{nanoseconds} ns"
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def _rwx(rights: int) -> str:
    return "".join(letter if rights & bit else "-" for bit, letter in ((4, "r"), (2, "w"), (1, "x")))


def _xattr(entry: Entry, name: str, show: Callable[[bytes], str]) -> str:
    return next((show(value) for key, value in entry.xattrs if key == name), "none")


def _acls(entry: Entry) -> str:
    return "; ".join(f"{name.rpartition('_')[2]} {acl_text(value)}" for name, value in entry.xattrs if name in ACL_NAMES) or "none"


def _others(entry: Entry) -> str:
    known = {*ACL_NAMES, CAPABILITY_NAME, SELINUX_NAME}
    return ", ".join(f"{shown(n.encode())}={shown(v[:60])}" for n, v in entry.xattrs if n not in known) or "none"


_SHOW: Final[dict[int, Callable[[Entry], str]]] = {
    at.TYPE: lambda e: kind_of(e.stat.mode),
    at.MODE: mode_text,
    at.UID: lambda e: str(e.stat.uid),
    at.GID: lambda e: str(e.stat.gid),
    at.SIZE: lambda e: f"{e.stat.size:,}",
    at.BLOCKS: lambda e: str(e.stat.blocks),
    at.MTIME: lambda e: time_text(e.stat.mtime),
    at.CTIME: lambda e: time_text(e.stat.ctime),
    at.ATIME: lambda e: time_text(e.atime),
    at.INODE: lambda e: str(e.stat.inode),
    at.LINKS: lambda e: str(e.stat.links),
    at.VOLUME: lambda e: f"{e.stat.volume:#x}",
    at.DEVICE: lambda e: f"{e.stat.device:#x}",
    at.LINK: lambda e: shown(e.link) or "none",
    at.FLAGS: lambda e: flags_text(e.flags),
    at.XATTRS: _others,
    at.ACL: _acls,
    at.CAPABILITIES: lambda e: _xattr(e, CAPABILITY_NAME, capability_text),
    at.SELINUX: lambda e: _xattr(e, SELINUX_NAME, shown),
    at.CONTENT: lambda e: e.digest.hex() or "none",
    at.MOUNT: lambda e: e.mount or "none",
    at.GROWING: lambda e: f"{e.stat.size:,} bytes, inode {e.stat.inode}",
}
