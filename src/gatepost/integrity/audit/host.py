"""The whole audit of a host in one call: facts from the tree and from the kernel, judged by role.

Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost.integrity.audit import exposure, people, software
from gatepost.integrity.audit.finding import AuditFinding, ordered
from gatepost.integrity.audit.roles import ROLES
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.mounts import Mounts, read_mounts
from gatepost.site.integrity import Allowed


@dataclass(frozen=True)
class Host:
    """What is audited. `live` says that the tree is this running host, so that sockets and processes count; `tracker` is Debian's data."""

    root: Path
    role: str
    allowed: Allowed
    now: float
    live: bool = True
    tracker: Mapping[str, Any] | None = None


def audit(host: Host) -> list[AuditFinding]:
    """Everything that is not as the role asks, the worst first."""
    role, dpkg, allowed, mounts = ROLES[host.role or "server"], Dpkg(host.root), host.allowed, _mounts(host)
    found = [
        *software.extra_packages(dpkg, role, allowed.packages),
        *software.pending_updates(dpkg, host.root / "var/lib/apt/lists", host.now),
        *software.end_of_life(host.root, dt.datetime.fromtimestamp(host.now, dt.UTC).date()),
        *exposure.privileged_files(host.root, dpkg, mounts, allowed.privileged),
        *exposure.foreign_units(host.root, dpkg, allowed.units),
        *people.doors(host.root, allowed.accounts),
        *people.foreign_jobs(host.root, dpkg),
    ]
    if host.tracker:
        found += software.known_holes(dpkg, host.tracker, software.codename(host.root))
    if host.live:
        found += exposure.extra_listeners(exposure.listeners(), role, allowed.ports)
    return ordered(found)


def offboard(host: Host, name: str) -> list[AuditFinding]:
    """Everything that the person `name` has left, the worst first."""
    proc = Path("/proc") if host.live else host.root / "proc"
    return ordered(list(people.leftovers(host.root, name, _mounts(host), proc)))


def _mounts(host: Host) -> Mounts:
    return read_mounts(host.root)
