"""`gatepost history`: every change of this machine, and how it ended."""

from __future__ import annotations

import json
import sys

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption, moment, site_of
from gatepost.cli.deployment import LIVE, RootOption, told, transactions_of

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def history(site: SiteOption = SITE, root: RootOption = LIVE, as_json: JsonOption = False) -> None:
    """List every change, oldest first.

    Example:

        gatepost history
    """
    with told():
        ledger = transactions_of(site_of(site), root).ledger
        state = ledger.state()
        records = [ledger.record(number) for number in range(1, state.last + 1)]
    waiting = {state.pending.number: state.pending.phase} if state.pending else {}
    ends = state.ends | waiting
    if as_json:
        rows = [
            {"number": one.number, "at": one.at, "files": [step.path for step in one.steps], "end": ends[one.number]} for one in records
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    for one in records:
        sys.stdout.write(f"{one.number:5}  {moment(one.at)}  {len(one.steps):3} files  {ends[one.number]:28}  {one.title}\n")
