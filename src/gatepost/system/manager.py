"""What a process tells its service manager: that it is ready, that it lives, that it stops (sd_notify(3)); nothing without one.

Not its job: when to say so.
Raises: nothing; a manager that does not listen is no reason to stop.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

FIRST_DESCRIPTOR = 3
"""Inherited sockets begin here (sd_listen_fds(3))."""


def notify(state: str) -> None:
    """Send a state such as "READY=1" or "WATCHDOG=1"."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(state.encode())


def ready() -> None:
    """The process does its work now."""
    notify("READY=1")


def alive() -> None:
    """The process still does its work; to be said more often than the unit's WatchdogSec."""
    notify("WATCHDOG=1")


def inherited() -> Mapping[str, socket.socket]:
    """The listening sockets that the service manager bound for this process, by name."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found = {name: socket.socket(fileno=FIRST_DESCRIPTOR + number) for number, name in zip(range(count), names, strict=False)}
    for sock in found.values():
        sock.set_inheritable(False)
    return found
