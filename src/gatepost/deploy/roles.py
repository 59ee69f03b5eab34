"""What this host is: one site file is shared by all hosts, and each applies its part.

Raises: `DeployError` when nobody can tell.
"""

from __future__ import annotations

from typing import get_args

from gatepost.deploy.machine import DeployError
from gatepost.relay.compile import Role
from gatepost.site.model import Site
from gatepost.site.network import FIREWALL

MEANT: dict[str, Role] = {**{role: role for role in get_args(Role)}, "mailserver": "server", "mail-server": "server"}
"""The roles that hosts have in site files, and which part each applies."""


def role_of(site: Site, hostname: str, asked: Role | None = None) -> Role:
    """The role that was asked for, or else the one of the site's host with this name; the firewall may be called that and nothing more."""
    if asked:
        return asked
    name = hostname.partition(".")[0].lower()
    host = site.hosts.get(name)
    role = MEANT.get(host.role if host else name if name == FIREWALL else "")
    if role is None:
        known = ", ".join(f"{one} ({host.role})" for one, host in site.hosts.items() if host.role in MEANT) or "none"
        raise DeployError(
            f"this host is called {name}, and the site has no host of that name with a role (it has {known}); name it with --role"
        )
    return role
