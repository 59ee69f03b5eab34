"""The plan for this machine as it is: what the rooms want, against the files that are there.

Not its job: comparing (`plan`), writing (`transaction`).
Raises: `DeployError`, `RelayError`, `OSError` for a machine that cannot be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gatepost.deploy.ledger import Ledger
from gatepost.deploy.machine import present, wanted
from gatepost.deploy.plan import Plan, compare
from gatepost.deploy.rooms import artifacts
from gatepost.relay.compile import Role
from gatepost.site.model import Site


def planned(site: Site, role: Role, ledger: Ledger, root: Path, take: Iterable[Path] = ()) -> Plan:
    """What would change on the machine, or in the tree under `root`, of which `ledger` knows our files; `take` may be overwritten."""
    made = artifacts(site, role)
    owned = {Path(name): mark for name, mark in ledger.state().owned.items()}
    there = {name: present(root, name) for name in {*owned, *(one.path for one in made)}}
    return compare([(one, wanted(one)) for one in made], there, owned, frozenset(take))
