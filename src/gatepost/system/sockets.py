"""Unix sockets between our own processes.

Raises: `OSError` when the path cannot be had.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple

_CREDENTIALS = struct.Struct("3i")


class Credentials(NamedTuple):
    """Who is at the other end of a Unix socket, as the kernel knows it (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


def listen_unix(path: Path, mode: int = 0o660, owner: tuple[int, int] | None = None) -> socket.socket:
    """Listen at `path`, in place of a socket that a dead process left there; not blocking. `owner` has the numbers of user and group."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # nobody may connect before the mode is right
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    if owner is not None:
        os.chown(path, *owner)
    path.chmod(mode)
    return listening(listener)


def listening(listener: socket.socket) -> socket.socket:
    """Listen on a bound or inherited socket, not blocking; from now on `peer` gives the calling process."""
    listener.listen(256)
    listener.setblocking(False)  # noqa: FBT003 the socket's own interface
    return listener


def connected(path: Path) -> socket.socket:
    """Connect to the process that listens at `path`."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


def peer(path: Path) -> int:
    """The process that listens at `path` (unix(7), SO_PEERCRED)."""
    with connected(path) as sock:
        return credentials(sock).pid


def credentials(sock: socket.socket) -> Credentials:
    """Who is at the other end."""
    return Credentials(*_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)))
