"""The units room in one call: the site and the role of a host to units, users, folders and log rotation.

Not its job: writing them (`gatepost.deploy`), what each unit says (`services`, `timed`, `boot`).
Raises: nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from gatepost.deploy.units import timed
from gatepost.deploy.units.boot import BASE_FILE, firewall_units
from gatepost.deploy.units.people import COMMON, PEOPLE, folders
from gatepost.deploy.units.services import mail_units
from gatepost.deploy.units.unit import Unit
from gatepost.firewall.compile import BASE
from gatepost.relay.compile import Role
from gatepost.site.model import Site
from gatepost.system.artifact import STAGED, Activation, Artifact

UNITS = Path("/etc/systemd/system")
SYSUSERS, TMPFILES = Path("/etc/sysusers.d/gatepost.conf"), Path("/etc/tmpfiles.d/gatepost.conf")
ROTATED = Path("/etc/logrotate.d/gatepost")

MAKE = 'command -v systemd-sysusers >/dev/null || exit 0; systemd-sysusers "$1" && systemd-tmpfiles --create "$2"'
PREPARE = Activation("users and folders", commands=(("/bin/sh", "-c", MAKE, "users", str(SYSUSERS), str(TMPFILES)),))
"""Users and folders are never taken away: files of theirs may lie about. In a container without systemd the package has made them."""

SETTLE = Activation(
    "systemd",
    commands=((sys.executable, "-m", "gatepost.deploy.settle"),),
    interrupts="services whose units change are started again; mail waits at its senders for seconds",
)

MAIL_ROLES = frozenset({"relay", "all-in-one"})
FIREWALL_ROLES = frozenset({"firewall", "all-in-one"})


def compile_units(site: Site, role: Role) -> tuple[Artifact, ...]:
    """Every file of this room."""
    return (*_users(site), *_base(role), *(Artifact(UNITS / one.name, one.text.encode(), activation=SETTLE) for one in units(site, role)))


def units(site: Site, role: Role) -> tuple[Unit, ...]:
    """The units of a host of that role."""
    found = [*timed.recovery(site), *timed.integrity(site)]
    if role in FIREWALL_ROLES:
        found += firewall_units(site, alone=role == "firewall")
    if role in MAIL_ROLES:
        found += [*mail_units(site), *timed.signatures(site), *timed.retro(site), *timed.doctor(site), *timed.digest(site)]
    started = [one.name for one in found if one.name.endswith((".timer", ".path"))]
    return (*found, timed.enabled(started))


def _base(role: Role) -> Iterator[Artifact]:
    if role in FIREWALL_ROLES:
        check = Activation("nft", checks=(("/usr/sbin/nft", "-c", "-f", f"{STAGED}{BASE_FILE}"),))
        yield Artifact(Path(BASE_FILE), BASE.encode(), activation=check)


def _users(site: Site) -> Iterator[Artifact]:
    yield Artifact(SYSUSERS, sysusers().encode(), activation=PREPARE)
    yield Artifact(TMPFILES, tmpfiles(site).encode(), activation=PREPARE)
    yield Artifact(ROTATED, logrotate().encode())


def sysusers() -> str:
    """The users and their group (sysusers.d(5)): none can log in, none owns a home."""
    lines = [f"g {COMMON} -"]
    for one in PEOPLE:
        lines += [f'u {one.name} - "Gatepost {one.does}" /nonexistent /usr/sbin/nologin', f"m {one.name} {COMMON}"]
    return "\n".join(lines) + "\n"


def tmpfiles(site: Site) -> str:
    """The folders (tmpfiles.d(5)); those below /run are made anew at each boot."""
    return "".join(f"d {one.path} {one.mode:04o} {one.user} {one.group} -\n" for one in folders(site))


def logrotate() -> str:
    """Text logs, where somebody sends them to files; the journal of mails is the keeper's and is never rotated."""
    return "/var/log/gatepost/*.log {\n    weekly\n    rotate 12\n    compress\n    delaycompress\n    missingok\n    notifempty\n    create 0640 root adm\n}\n"
