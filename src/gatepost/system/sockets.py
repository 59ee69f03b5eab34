"""Unix sockets between our own processes.

Raises: `OSError` when the path cannot be had.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path


def listen_unix(path: Path, mode: int = 0o660) -> socket.socket:
    """Listen at `path`, in place of a socket that a dead process left there; not blocking."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # nobody may connect before the mode is right
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    path.chmod(mode)
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
        return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[0])
