"""`gatepost mail serve`: the mail gateway of a site.

Raises: nothing; what keeps it from starting is one sentence with a remedy and exit status 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatepost.services.gateway import Gateway, StartError
from gatepost.site.load import load
from gatepost.site.problem import SiteError
from gatepost.system.logs import to_stderr

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich")

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
) -> None:
    """Take mail, scan it, hand on what is clean. Runs until SIGTERM; SIGHUP reads the site file again.

    Example:

        gatepost mail serve --site /etc/gatepost/site.toml
    """
    to_stderr(debug=debug)
    try:
        Gateway(lambda: load(site)).serve()
    except (SiteError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None
