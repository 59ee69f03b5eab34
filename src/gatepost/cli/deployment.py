"""What plan, apply, confirm, rollback and history share: the machine's transactions, the plan, and how both are shown.

Raises: `typer.Exit` with status 2, after one sentence with a remedy.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import fail, printable, site_of
from gatepost.deploy.current import planned
from gatepost.deploy.doctor.check import Diagnosis, Machine, Severity
from gatepost.deploy.ledger import Ledger
from gatepost.deploy.machine import DeployError
from gatepost.deploy.plan import Change, Fate, Plan, diff
from gatepost.deploy.preflight import preflight
from gatepost.deploy.roles import role_of
from gatepost.deploy.transaction import Transactions
from gatepost.firewall.declare import DeclarationError
from gatepost.firewall.host import HostError
from gatepost.relay.compile import Role
from gatepost.relay.intent import RelayError
from gatepost.site.model import Site
from gatepost.system.staging import run

RootOption = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="A tree that is not running, such as an image: nothing is checked or reloaded.")
]
RoleOption = Annotated[Role | None, typer.Option("--role", help="What this host is; else the role of the site's host with its name.")]
FullOption = Annotated[bool, typer.Option("--full", help="Show new files whole, too.")]
TakeOption = Annotated[list[Path] | None, typer.Option("--take", metavar="PATH", help="A file of others that may be overwritten.")]

LIVE = Path("/")
COLOURS = {Fate.CREATE: "green", Fate.CHANGE: "yellow", Fate.REMOVE: "red", Fate.CONFLICT: "bold red"}


@contextmanager
def told() -> Iterator[None]:
    """Say errors of deploying in a sentence."""
    try:
        yield
    except (DeployError, RelayError, DeclarationError, HostError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'this machine'}: {error.strerror}; what was begun is put back by the next gatepost rollback")


def transactions_of(site: Site, root: Path) -> Transactions:
    """The transactions of this machine, or of the tree under `root`."""
    state = Path(site.site.state) / "deploy"
    if root == LIVE:
        return Transactions(Ledger(state), lambda command: run(command, strict=False))
    return Transactions(Ledger(root / state.relative_to("/")), lambda _command: "", root)


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a site means for this machine: its role, its plan, and what was looked at."""

    site: Site
    role: Role
    transactions: Transactions
    plan: Plan
    found: list[Diagnosis]


def proposed(path: Path, asked: Role | None, root: Path, take: list[Path] | None) -> Proposed:
    """The site's plan for this machine."""
    site = site_of(path)
    role = role_of(site, socket.gethostname(), asked)
    transactions = transactions_of(site, root)
    plan = planned(site, role, transactions.ledger, root, take or ())
    return Proposed(site, role, transactions, plan, looked_at(site, role, root))


def looked_at(site: Site, role: Role, root: Path) -> list[Diagnosis]:
    """What was looked at before; nothing for a tree that is not running."""
    if root != LIVE:
        return []
    limits = {"descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
    return list(preflight(site, role, Machine(limits=limits)))


def session() -> str:
    """What tells this login from another one; "" at the console, where nobody can lock himself out."""
    return os.environ.get("SSH_CONNECTION", "")


def show(plan: Plan, found: list[Diagnosis], *, full: bool = False) -> None:
    """The plan for people: each file with its difference (a new one whole only when `full`), what was looked at, and what it amounts to."""
    console = Console(highlight=False, soft_wrap=True)
    for change in plan.changes:
        if change.fate is not Fate.SAME:
            _show_one(console, change, full=full)
    for one in found:
        if one.severity is not Severity.WELL:
            console.print(Text.assemble((f"{one.severity.value:8} ", "yellow"), f"{one.check}: {one.seen}\n         = {one.remedy}"))
    if found:
        well = ", ".join(dict.fromkeys(one.check for one in found if one.severity is Severity.WELL))
        console.print(Text.assemble(("well     ", "green"), well))
    for activation in plan.activations:
        console.print(f"{activation.name} takes this up; interrupted: {activation.interrupts or 'nothing'}", markup=False)
    counts = {fate: sum(one.fate is fate for one in plan.changes) for fate in Fate}
    console.print(", ".join(f"{count} {fate.value}" for fate, count in counts.items() if count) or "nothing to do")


def _show_one(console: Console, change: Change, *, full: bool) -> None:
    new = change.fate is Fate.CREATE and not full and change.after
    size = f"  {change.after.content.count(10)} lines" if new and change.after else ""
    console.print(Text.assemble((f"{change.fate.value:8} ", COLOURS[change.fate]), (str(change.path), "bold"), size))
    if change.conflict:
        console.print(Text(f"         {change.conflict}; look at it, then name it with --take {change.path}", "red"))
    for line in [] if new else diff(change):
        console.print(Text(f"    {printable(line)}", {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")))
    sys.stdout.flush()
