"""`gatepost confirm`: keep a change that waits for it."""

from __future__ import annotations

import sys
import time

import typer

from gatepost.cli.common import SITE, SiteOption, site_of
from gatepost.cli.deployment import LIVE, RootOption, session, told, transactions_of

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def confirm(site: SiteOption = SITE, root: RootOption = LIVE) -> None:
    """Keep the change that waits. That you can still run this shows that you did not lock yourself out.

    Example:

        gatepost confirm
    """
    with told():
        number = transactions_of(site_of(site), root).confirm(time.time(), session())
    sys.stdout.write(f"change {number} is kept\n")
