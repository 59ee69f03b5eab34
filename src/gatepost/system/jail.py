"""A jail for the process that calls it: no network, no files but those named, no dangerous system calls, bounded resources.

What it does: four layers, each of its own strength, so that a bug in a parser is worth nothing: namespaces, Landlock, seccomp,
resource limits. What a kernel lacks is returned, never passed over in silence.
Not its job: becoming another user (`privileges`), deciding what may be opened.
Raises: nothing; `enter` returns the layers that could not be set up, each with its reason.

Sources: landlock(7), seccomp(2), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyseccomp

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000
_PR_SET_NO_NEW_PRIVS = 38
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1

_FS_EXECUTE = 1 << 0
_FS_WRITE_FILE = 1 << 1
_FS_READ_FILE = 1 << 2
_FS_READ_DIR = 1 << 3
_FS_MAKE_CHAR = 1 << 6
_FS_MAKE_BLOCK = 1 << 11
_FS_TRUNCATE = 1 << 14
_FS_IOCTL_DEV = 1 << 15
_FS_ALL = (1 << 16) - 1
_FS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ON_FILES = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_SCOPED_ABI = 6
_NETWORK_ABI = 4
_NETWORK_ALL = 3
_SCOPE_ALL = 3

FORBIDDEN = [
    "add_key",
    "bpf",
    "chroot",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "init_module",
    "io_uring_setup",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "reboot",
    "request_key",
    "setns",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
]
"""System calls that no scan needs; they fail with EPERM."""


@dataclass(frozen=True, slots=True)
class Jail:
    """What is left to a jailed process: folders and files to read (and execute from), to write below, sizes in bytes.

    `network` false takes away every network but Unix sockets in the file system. With `in_memory` what is written is in memory of its
    own, at most `file_size` for each folder, that nobody else sees and that goes with the process, where the kernel lets us mount it.
    """

    readable: tuple[Path, ...]
    writable: tuple[Path, ...] = ()
    network: bool = False
    in_memory: bool = False
    data: int = 2 << 30
    file_size: int = 512 << 20
    descriptors: int = 256


def enter(jail: Jail) -> tuple[str, ...]:
    """Jail this process for ever. It must have one thread only. Returns what could not be done, in words."""
    layers: tuple[tuple[str, Callable[[Jail], None]], ...] = (
        ("namespaces", _namespaces),
        ("Landlock", _landlock),
        ("seccomp", _seccomp),
        ("resource limits", _limits),
    )
    missing = []
    for name, layer in layers:
        try:
            layer(jail)
        except OSError as error:
            missing.append(f"{name}: {error.strerror or error}")
    return tuple(missing)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _interfaces() -> set[str]:
    """The network interfaces that this process sees."""
    return {line.partition(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]}


def _namespaces(jail: Jail) -> None:
    if not jail.network and _interfaces() <= {"lo"}:
        return  # the service manager has given us namespaces already, and forbids others
    user, group = os.geteuid(), os.getegid()
    kinds = _CLONE_NEWNS | _CLONE_NEWIPC | (0 if jail.network else _CLONE_NEWNET)
    if _libc.unshare(kinds | _CLONE_NEWUSER) < 0:
        # Below a chroot nobody may make a user namespace, but root can do without one.
        _checked(_libc.unshare(kinds))
    else:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if jail.in_memory:
        _mount_memory(jail)


def _mount_memory(jail: Jail) -> None:
    """Put memory over the writable folders; where that fails they are what they were, which costs time and no safety."""
    if _libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None) < 0:
        return  # below a chroot "/" is no mount point, and others would see ours
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    for path in jail.writable:
        _libc.mount(b"scratch", os.fsencode(path), b"tmpfs", flags, f"size={jail.file_size},mode=0700".encode())


def _syscall(number: int, *arguments: object) -> int:
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 without Landlock."""
    version = _libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_CREATE_RULESET_VERSION)
    )
    return max(0, int(version))


def _landlock(jail: Jail) -> None:
    version = landlock_version()
    if not version:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    handled = _FS_BY_ABI.get(version, _FS_ALL)
    network = 0 if jail.network or version < _NETWORK_ABI else _NETWORK_ALL
    attributes = struct.pack("=QQQ", handled, network, _SCOPE_ALL if version >= _SCOPED_ABI else 0)
    size = 24 if version >= _SCOPED_ABI else 16 if version >= _NETWORK_ABI else 8
    ruleset = _syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        _allow(ruleset, jail.readable, handled & (_FS_READ_FILE | _FS_READ_DIR | _FS_EXECUTE))
        _allow(ruleset, jail.writable, handled & ~(_FS_MAKE_CHAR | _FS_MAKE_BLOCK | _FS_EXECUTE))
        _allow(ruleset, (Path(os.devnull),), handled & (_FS_READ_FILE | _FS_WRITE_FILE))
        _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _syscall(_LANDLOCK_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, paths: Iterable[Path], access: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            continue  # what cannot be opened needs no permission
        try:
            rule = struct.pack("=Qi", access if path.is_dir() else access & _ON_FILES, descriptor)
            _syscall(_LANDLOCK_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_LANDLOCK_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
        finally:
            os.close(descriptor)


def _seccomp(jail: Jail) -> None:
    rules = pyseccomp.SyscallFilter(defaction=pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in FORBIDDEN:
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            rules.add_rule(refuse, name)
    if not jail.network:
        rules.add_rule(refuse, "socket", pyseccomp.Arg(0, pyseccomp.NE, 1))  # 1 is AF_UNIX
    rules.load()


def _limits(jail: Jail) -> None:
    for kind, value in (
        (resource.RLIMIT_DATA, jail.data),
        (resource.RLIMIT_FSIZE, jail.file_size),
        (resource.RLIMIT_NOFILE, jail.descriptors),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
