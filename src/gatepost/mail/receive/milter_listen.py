"""Listening sockets for milters, from the names that MTAs use for them.

What it does: binds `unix:/path`, `inet:host:port` or `inet6:[address]:port`.
Not its job: accepting (`milter_server`).
Raises: `ListenError`, whose text names the socket and the remedy.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

_BACKLOG = 1024
_HIGHEST_PORT = 65_535


class ListenError(Exception):
    """The socket cannot be had; the text says what to do."""


def listen(name: str, *, mode: int = 0o660, group: str | None = None) -> socket.socket:
    """Bind and listen. `mode` and `group` say who may connect to a Unix socket: the MTA's user must be among them."""
    kind, _, rest = name.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return _listen_unix(Path(rest), mode, group)
    if kind in {"inet", "inet6"}:
        host, _, port = rest.rpartition(":")
        if host and port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT:
            return _listen_internet(name, socket.AF_INET6 if kind == "inet6" else socket.AF_INET, host.strip("[]"), int(port))
    raise ListenError(f"{name!a} names no socket; write unix:/path, inet:127.0.0.1:port or inet6:[::1]:port")


def _listen_internet(name: str, family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(
            f"cannot listen on {name}: {error.strerror or error}; choose an address of this machine and a free port"
        ) from error
    return listener


def _listen_unix(path: Path, mode: int, group: str | None) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Nobody may connect before mode and group are right.
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
        if group is not None:
            shutil.chown(path, group=group)
        path.chmod(mode)
        listener.listen(_BACKLOG)
    except (OSError, LookupError) as error:
        listener.close()
        raise ListenError(
            f"cannot listen on {path}: {error}; the folder must exist and be ours to write, and the group must exist"
        ) from error
    finally:
        os.umask(mask)
    return listener


def _remove_stale(path: Path) -> None:
    # A socket that nobody answers is what a killed process leaves behind.
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ListenError(f"{path} exists and is no socket; remove it or choose another path")
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ListenError(f"cannot tell whether {path} is in use: {error}; remove it if no Gatepost runs") from error
        else:
            raise ListenError(f"somebody listens on {path} already; is another Gatepost running?")
