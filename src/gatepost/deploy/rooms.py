"""The rooms that want files on a machine: all of them together are what a site compiles to for one role.

Not its job: what the files say (each room), writing them (`transaction`).
Raises: what the rooms raise: `RelayError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gatepost.relay.compile import Role, compile_relay
from gatepost.site.aliases import read_aliases
from gatepost.site.model import Site
from gatepost.system.artifact import Artifact

Room = Callable[[Site, Role], tuple[Artifact, ...]]


def relay(site: Site, role: Role) -> tuple[Artifact, ...]:
    """The MTA's files, with the recipients of the aliases file."""
    path = site.mail.recipients.aliases
    return compile_relay(site, role, aliases=frozenset(read_aliases(path)) if path else frozenset())


ROOMS: Mapping[str, Room] = {"relay": relay}


def artifacts(site: Site, role: Role) -> tuple[Artifact, ...]:
    """Every file of every room, in the order in which they are written."""
    return tuple(one for room in ROOMS.values() for one in room(site, role))
