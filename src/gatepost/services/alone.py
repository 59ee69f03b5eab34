"""One process of the gateway by itself, for a service manager that starts, watches and confines each in a unit of its own.

What it does: finds the sockets that the manager bound, by name, and is the keeper, the front, the scan workers or the watch.
Not its job: what they do, restarting (the manager does); all of them under one command (`gateway`).
Raises: `AloneError` when a socket is missing; `SiteError`, `EngineError`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from gatepost.deploy.units.people import installed
from gatepost.services import frontd, keeperd, watchd
from gatepost.services.frontd import Places, Sockets
from gatepost.services.pool import Pool
from gatepost.site.model import Site
from gatepost.system.manager import inherited


class AloneError(Exception):
    """The process cannot run by itself; the text says what to do."""


def run(process: str, read: Callable[[], Site]) -> None:
    """Be that process until SIGTERM."""
    if process == "scan":
        Pool(read).serve()
        return
    site, sockets = read(), inherited()
    for one in sockets.values():
        one.setblocking(False)  # noqa: FBT003 the socket's own interface
    keep = Path(site.site.run) / "keeper.sock"
    match process:
        case "keeper":
            keeperd.run(site, _needed(sockets, "keeper"), installed())
        case "front":
            taken = Sockets(sockets.get("milter"), sockets.get("smtp"), scan=_needed(sockets, "scan"))
            staff = installed()
            users = frozenset({staff["scan"].uid}) if staff else frozenset()
            frontd.run(site, taken, Places(Path(site.site.run) / "scan.sock", keep, users))
        case "watch":
            watchd.run(site, sockets.get("metrics"), keep)


def _needed(sockets: Mapping[str, socket.socket], name: str) -> socket.socket:
    if name not in sockets:
        raise AloneError(f"the service manager bound no socket called {name!r}; start the unit, or run gatepost mail serve instead")
    return sockets[name]
