"""`gatepost apply`: bring this machine to what the site says, as one transaction that undoes itself unless it is confirmed.

Exit status: 0 done, 2 not done and everything as before.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from gatepost.cli.common import SITE, SiteOption, fail
from gatepost.cli.deployment import LIVE, FullOption, RoleOption, RootOption, TakeOption, proposed, session, show, told
from gatepost.deploy.doctor.check import Diagnosis
from gatepost.deploy.plan import Plan
from gatepost.deploy.preflight import forbids
from gatepost.system.artifact import Artifact
from gatepost.system.staging import check, stage

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def apply(
    site: SiteOption = SITE,
    role: RoleOption = None,
    root: RootOption = LIVE,
    take: TakeOption = None,
    confirm: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="Undo it all unless gatepost confirm is run in time; 0 keeps it.")
    ] = 60,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    full: FullOption = False,
) -> None:
    """Write all files, let the daemons take them up, and undo it all unless it is confirmed. A crash leaves the old or the new state.

    What a firewall forbids it must not lock out: confirm over a new login, the one that made the change proves nothing.

    Example:

        gatepost apply --role relay --confirm 120
    """
    with told():
        wanted = proposed(site, role, root, take)
        plan = wanted.plan
        show(plan, wanted.found, full=full)
        if not plan.work and not plan.conflicts:
            return
        if root == LIVE:
            _must_pass(plan, wanted.found)
        if not yes and not plan.conflicts and not typer.confirm("Do this?"):
            fail("nothing was changed")
        if confirm and plan.work and not plan.conflicts:
            _watch(site, root, confirm)
        record = wanted.transactions.apply(plan, time.time(), confirm, f"{wanted.role} from {site}", session())
    after = f"it is undone in {confirm} s unless you run: gatepost confirm --site {site}" if confirm else "done"
    sys.stdout.write(f"change {record.number}: {after}\n")


def _must_pass(plan: Plan, found: list[Diagnosis]) -> None:
    """Let each daemon look at its new files before anything is touched."""
    if why := forbids(found):
        fail(f"nothing was changed: {why}")
    with tempfile.TemporaryDirectory(prefix="gatepost-") as name:
        folder = Path(name)
        stage((Artifact(one.path, one.after.content) for one in plan.changes if one.after), folder)
        for activation in plan.activations:
            if said := check(activation, folder):
                fail(f"nothing was changed: {activation.name} does not take its files: {said[0].replace(name, '')}")


def _watch(site: Path, root: Path, seconds: int) -> None:
    """Start the process that undoes an unconfirmed change: it outlives this one, and the connection that this one came by."""
    command = [sys.executable, "-m", "gatepost", "rollback", "--unconfirmed-after", str(seconds + 1)]
    command += ["--site", str(site.resolve()), "--root", str(root.resolve())]
    subprocess.Popen(
        command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
