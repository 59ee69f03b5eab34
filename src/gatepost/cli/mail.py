"""`gatepost mail`: the mail gateway of a site.

Raises: nothing; what keeps it from starting is one sentence with a remedy and exit status 2.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gatepost.cli.multidrop import multidrop
from gatepost.deploy.units.people import installed
from gatepost.mail.inspect.engine import EngineError
from gatepost.services import alone
from gatepost.services.gateway import Gateway, StartError
from gatepost.site.load import load
from gatepost.site.problem import SiteError
from gatepost.system.logs import to_stderr

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")

log = logging.getLogger(__name__)

app.command()(multidrop)

Process = Literal["keeper", "front", "scan", "watch"]
SITE = Path("/etc/gatepost/site.toml")


@app.callback()
def mail() -> None:
    """The mail gateway of a site.

    Example:

        gatepost mail serve --site /etc/gatepost/site.toml
    """


@app.command()
def serve(
    site: Annotated[Path, typer.Option(metavar="FILE", help="The site file.")] = SITE,
    debug: Annotated[bool, typer.Option(help="Log every process that starts.")] = False,
    one_user: Annotated[bool, typer.Option("--one-user", help="Run all processes as the user who starts this.")] = False,
) -> None:
    """Take mail, scan it, hand on what is clean. Runs until SIGTERM; SIGHUP reads the site file again.

    Started as root, each process becomes its own user (gatepost-keeper, gatepost-front, ...) where the machine has them.

    Example:

        gatepost mail serve --site /etc/gatepost/site.toml
    """
    to_stderr(debug=debug)
    staff = {} if one_user or os.geteuid() else installed()
    if not staff and not os.geteuid():
        log.warning("all processes run as root; with the users of systemd-sysusers each would have its own")
    try:
        Gateway(lambda: load(site), staff).serve()
    except (SiteError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None


@app.command()
def process(
    name: Annotated[Process, typer.Argument(help="Which process.")],
    site: Annotated[Path, typer.Option(metavar="FILE", help="The site file.")] = SITE,
    debug: Annotated[bool, typer.Option(help="Log more.")] = False,
) -> None:
    """Be one process of the gateway, for a service manager that starts each in a unit of its own, with its sockets.

    Example:

        gatepost mail process scan
    """
    to_stderr(debug=debug)
    try:
        alone.run(name, lambda: load(site))
    except (SiteError, EngineError, alone.AloneError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None
