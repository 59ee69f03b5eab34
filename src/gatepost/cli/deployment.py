"""What plan, apply, confirm, rollback and history share: the machine's transactions, the plan, and how both are shown.

Raises: `typer.Exit` with status 2, after one sentence with a remedy.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import fail, printable, site_of
from gatepost.deploy.current import planned
from gatepost.deploy.ledger import Ledger
from gatepost.deploy.machine import DeployError
from gatepost.deploy.plan import Change, Fate, Plan, diff
from gatepost.deploy.transaction import Transactions
from gatepost.relay.compile import Role
from gatepost.relay.intent import RelayError
from gatepost.site.model import Site
from gatepost.system.staging import run

RootOption = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="A tree that is not running, such as an image: nothing is checked or reloaded.")
]
RoleOption = Annotated[Role, typer.Option("--role", help="What this host is.")]
TakeOption = Annotated[list[Path] | None, typer.Option("--take", metavar="PATH", help="A file of others that may be overwritten.")]

LIVE = Path("/")
COLOURS = {Fate.CREATE: "green", Fate.CHANGE: "yellow", Fate.REMOVE: "red", Fate.CONFLICT: "bold red"}


@contextmanager
def told() -> Iterator[None]:
    """Say errors of deploying in a sentence."""
    try:
        yield
    except (DeployError, RelayError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'this machine'}: {error.strerror}; what was begun is put back by the next gatepost rollback")


def transactions_of(site: Site, root: Path) -> Transactions:
    """The transactions of this machine, or of the tree under `root`."""
    state = Path(site.site.state) / "deploy"
    if root == LIVE:
        return Transactions(Ledger(state), lambda command: run(command, strict=False))
    return Transactions(Ledger(root / state.relative_to("/")), lambda _command: "", root)


def plan_of(path: Path, role: Role, root: Path, take: list[Path] | None) -> tuple[Transactions, Plan]:
    """The site's plan for this machine."""
    site = site_of(path)
    transactions = transactions_of(site, root)
    return transactions, planned(site, role, transactions.ledger, root, take or ())


def show(plan: Plan) -> None:
    """The plan for people: each file with its difference, then what it amounts to."""
    console = Console(highlight=False, soft_wrap=True)
    for change in plan.changes:
        if change.fate is not Fate.SAME:
            _show_one(console, change)
    for activation in plan.activations:
        console.print(f"{activation.name} takes this up; interrupted: {activation.interrupts or 'nothing'}", markup=False)
    counts = {fate: sum(one.fate is fate for one in plan.changes) for fate in Fate}
    console.print(", ".join(f"{count} {fate.value}" for fate, count in counts.items() if count) or "nothing to do")


def _show_one(console: Console, change: Change) -> None:
    console.print(Text.assemble((f"{change.fate.value:8} ", COLOURS[change.fate]), (str(change.path), "bold")))
    if change.conflict:
        console.print(Text(f"         {change.conflict}; look at it, then name it with --take {change.path}", "red"))
    for line in diff(change):
        console.print(Text(f"    {printable(line)}", {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")))
    sys.stdout.flush()
