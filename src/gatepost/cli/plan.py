"""`gatepost plan`: what would change on this machine.

Exit status: 0 nothing to do, 1 there are changes, 2 conflicts, or it could not look.
"""

from __future__ import annotations

import json
import sys

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption
from gatepost.cli.deployment import LIVE, RoleOption, RootOption, TakeOption, plan_of, show, told
from gatepost.deploy.plan import diff

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def plan(
    site: SiteOption = SITE, role: RoleOption = "relay", root: RootOption = LIVE, take: TakeOption = None, as_json: JsonOption = False
) -> None:
    """Show what would change on this machine, file by file. Nothing is changed.

    Example:

        gatepost plan --role relay
    """
    with told():
        _, made = plan_of(site, role, root, take)
    if as_json:
        rows = [{"path": str(one.path), "fate": one.fate.value, "conflict": one.conflict, "diff": diff(one)} for one in made.changes]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        show(made)
    raise typer.Exit(2 if made.conflicts else 1 if made.work else 0)
