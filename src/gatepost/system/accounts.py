"""The users that processes of ours run as.

What it does: looks an account up by name, and makes the calling process its for ever.
Not its job: which process has which account (`gatepost.deploy.units.people`), making accounts (sysusers.d).
Raises: `OSError` from `become` for a process that may not change its user.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass

_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Account:
    """A user by number, its own group, the group that its files get, and all groups that it is in."""

    name: str
    uid: int
    own: int
    gid: int
    groups: tuple[int, ...] = ()


def find(name: str, group: str = "") -> Account | None:
    """The account of that name, its files with `group` if one is given; None when this machine has not both."""
    try:
        user = pwd.getpwnam(name)
        gid = grp.getgrnam(group).gr_gid if group else user.pw_gid
    except KeyError:
        return None
    return Account(name, user.pw_uid, user.pw_gid, gid, tuple(os.getgrouplist(name, user.pw_gid)))


def become(account: Account) -> None:
    """Be that user from now on; there is no way back."""
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    # The kernel hides /proc/self from a process that was root a moment ago; the jail needs it (proc(5), PR_SET_DUMPABLE).
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)


def tried(account: Account | None, attempt: Callable[[], str]) -> str:
    """What `attempt` says when that user makes it, in a process of its own; this process makes it when there is no account."""
    if account is None:
        return attempt()
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            become(account)
            os.write(writing, attempt().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said
