"""`gatepost log`: what happened to mail, newest last."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, journal_of, printable, site_of
from gatepost.journal.interface import JournalError, Query, Row
from gatepost.journal.states import State

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

COLOURS = {
    State.ACCEPTED: "cyan",
    State.DELIVERED: "green",
    State.CLEANED: "cyan",
    State.REJECTED: "red",
    State.TEMPFAILED: "magenta",
    State.QUARANTINED: "yellow",
    State.RELEASED: "green",
    State.DELETED: "dim",
}

_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@app.command()
def log(
    site: SiteOption = SITE,
    sender: Annotated[str, typer.Option(help="Sender, or @domain.")] = "",
    recipient: Annotated[str, typer.Option(help="Recipient, or @domain.")] = "",
    subject: Annotated[str, typer.Option(help="Part of the subject.")] = "",
    client: Annotated[str, typer.Option(help="Address of the sending host.")] = "",
    verdict: Annotated[str, typer.Option(help="clean, virus, banned, spam, suspect, ambiguous, encrypted or unchecked.")] = "",
    finding: Annotated[str, typer.Option(help="Name of a virus or rule.")] = "",
    state: Annotated[list[State] | None, typer.Option(help="Only mails in this state; may be given several times.")] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="So long ago, like 2h or 3d.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = 50,
    json_lines: JsonOption = False,
) -> None:
    """What happened to mail, a line for each recipient, newest last.

    Examples:

        gatepost log --since 1h

        gatepost log --verdict virus --sender @partner.example
    """
    query = Query(
        sender=sender,
        recipient=recipient,
        subject=subject,
        client=client,
        verdict=verdict,
        finding=finding,
        states=tuple(state or ()),
        since=since_when(since),
        limit=limit,
    )
    try:
        rows = journal_of(site_of(site)).search(query)[::-1]
    except JournalError as error:
        fail(str(error))
    if json_lines:
        for row in rows:
            sys.stdout.write(json.dumps(asdict(row)) + "\n")
    elif not rows:
        sys.stdout.write("no mail matches\n")
    else:
        Console().print(table(rows))


def since_when(text: str) -> float:
    """The time so long ago, in seconds since the epoch; "" is the beginning."""
    if not text:
        return 0.0
    match = _AGO.fullmatch(text)
    if match is None:
        fail(f"{text!r} is no time; write a number and a unit s, m, h or d, like 2h")
    return time.time() - int(match[1]) * _SECONDS[match[2]]


def table(rows: list[Row]) -> Table:
    """Rows as a table for the terminal; what is long is cut, but never the id and the state."""
    shown = Table(box=None, header_style="bold", padding=(0, 1), expand=True)
    for name, width in (("time", 11), ("id", 14), ("state", 11)):
        shown.add_column(name, min_width=width, no_wrap=True)
    for name, ratio in (("from", 3), ("to", 3), ("subject", 3), ("why", 4)):
        shown.add_column(name, ratio=ratio, overflow="ellipsis", no_wrap=True)
    for row in rows:
        why = f"{row.verdict} {row.reason}" if row.reason else ""
        cells = (short(row.at), row.id, Text(row.state, COLOURS[row.state]), row.sender or "<>", row.recipient, row.subject, why)
        shown.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells))
    return shown


def short(at: float) -> str:
    """A time of today by the clock, an older one by its day too."""
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", time.localtime(at))
    return time.strftime("%H:%M:%S" if today else "%d %b %H:%M", time.localtime(at))
