"""`gatepost rollback`: put back what was before the last change, or before one that was interrupted or not confirmed."""

from __future__ import annotations

import math
import sys
import time
from typing import Annotated

import typer

from gatepost.cli.common import SITE, SiteOption, site_of
from gatepost.cli.deployment import LIVE, RootOption, told, transactions_of
from gatepost.deploy.transaction import Transactions

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def rollback(
    site: SiteOption = SITE,
    root: RootOption = LIVE,
    unconfirmed_after: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=0, help="Wait so long, then undo only what was interrupted or not confirmed."),
    ] = None,
    boot: Annotated[
        bool, typer.Option("--boot", help="Undo at once what was interrupted or is not confirmed: who waited for it is gone.")
    ] = False,
) -> None:
    """Put back what was before the last change, and let the daemons take that up.

    Example:

        gatepost rollback
    """
    with told():
        transactions = transactions_of(site_of(site), root)
        if boot:
            number = transactions.recover(math.inf)
        elif unconfirmed_after is None:
            number = transactions.rollback(time.time())
        else:
            time.sleep(unconfirmed_after)
            number = _recovered(transactions)
    sys.stdout.write(f"change {number} is undone\n" if number else "nothing was interrupted or left unconfirmed\n")


def _recovered(transactions: Transactions) -> int:
    """Undo what was interrupted or is not confirmed by its deadline, however late that is set."""
    number = transactions.recover(time.time())
    while not number and (pending := transactions.ledger.state().pending):
        time.sleep(max(0.1, pending.deadline - time.time()))
        number = transactions.recover(time.time())
    return number
