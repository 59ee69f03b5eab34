"""Who runs what, and whose each folder is: one user for each process, none of which can write what another one lives by.

What it does: names users, groups and folders in one table, from which sysusers.d, tmpfiles.d, the supervisor and the page of processes come.
Not its job: making them (`texts`), becoming one (`gatepost.system.accounts`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatepost.site.model import Site
from gatepost.system.accounts import Account, find

COMMON = "gatepost"
"""The group of all of them: it reaches the keeper's socket and reads the journal. People who may look join it."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of ours: its process, what it does in a few words, and the group that its files get ("" is its own)."""

    process: str
    does: str
    group: str = ""

    @property
    def name(self) -> str:
        """The user's name."""
        return f"gatepost-{self.process}"


PEOPLE = (
    Person("keeper", "writes quarantine and journal", COMMON),
    Person("front", "takes mail"),
    Person("scan", "looks at mail"),
    Person("watch", "sends canaries, answers Prometheus"),
    Person("console", "serves the web console"),
    Person("signatures", "fetches and tries signatures"),
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that must be there before anything starts."""

    path: str
    mode: int
    user: str = "root"
    group: str = "root"


def folders(site: Site) -> tuple[Folder, ...]:
    """Every folder, parents first.

    The state folder belongs to root and is sticky: the keeper makes its files there, and cannot touch what root keeps beside them,
    such as the rules that the next boot loads.
    """
    state, run = site.site.state, site.site.run
    keeper, console, scan, signatures = "gatepost-keeper", "gatepost-console", "gatepost-scan", "gatepost-signatures"
    return (
        Folder(run, 0o755, "root", COMMON),
        Folder(f"{run}/scratch", 0o700, scan, scan),
        Folder(state, 0o1771, "root", keeper),
        Folder(f"{state}/quarantine", 0o700, keeper, COMMON),
        Folder(f"{state}/keys", 0o700, keeper, COMMON),
        Folder(f"{state}/signatures", 0o755, signatures, signatures),
        Folder(f"{state}/console", 0o700, console, console),
        *(Folder(f"{state}/{name}", 0o700) for name in ("deploy", "firewall", "integrity")),
    )


Staff = Mapping[str, Account]
"""The account of each process by the process's name; empty where all run as the user who starts them."""


def installed() -> Staff:
    """The accounts of this machine, none of them unless all are there."""
    found = {one.process: account for one in PEOPLE if (account := find(one.name, one.group))}
    return found if len(found) == len(PEOPLE) else {}
