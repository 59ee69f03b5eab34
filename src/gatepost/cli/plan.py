"""`gatepost plan`: what would change on this machine.

Exit status: 0 nothing to do, 1 there are changes, 2 conflicts, or it could not look.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption
from gatepost.cli.deployment import LIVE, FullOption, Proposed, RoleOption, RootOption, TakeOption, proposed, show, told
from gatepost.deploy.plan import diff

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def plan(
    site: SiteOption = SITE,
    role: RoleOption = None,
    root: RootOption = LIVE,
    take: TakeOption = None,
    full: FullOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what would change on this machine, file by file, what would be interrupted, and what was looked at. Nothing is changed.

    Example:

        gatepost plan --role relay
    """
    with told():
        wanted = proposed(site, role, root, take)
    made = wanted.plan
    if as_json:
        sys.stdout.write(json.dumps(_data(wanted), indent=2) + "\n")
    else:
        show(made, wanted.found, full=full)
    raise typer.Exit(2 if made.conflicts else 1 if made.work else 0)


def _data(wanted: Proposed) -> dict[str, Any]:
    changes = wanted.plan.changes
    return {
        "role": wanted.role,
        "files": [{"path": str(one.path), "fate": one.fate.value, "conflict": one.conflict, "diff": diff(one)} for one in changes],
        "interrupts": {one.name: one.interrupts for one in wanted.plan.activations},
        "checks": [asdict(one) for one in wanted.found],
    }
