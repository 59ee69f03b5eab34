"""`gatepost alerts`: what the administrator was told, what the next hop said to it, and that it was read."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from gatepost.assess.incident import KINDS, TOLD
from gatepost.cli.common import SITE, JsonOption, SiteOption, ask_keeper, fail, journal_of, moment, printable, site_of
from gatepost.journal.interface import JournalError
from gatepost.report.alerts import SEEN, Told, alerts
from gatepost.services.messages import Note

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Most = Annotated[int, typer.Option("--most", help="So many at most, the newest.")]


@app.callback()
def alerts_app() -> None:
    """What the administrator was told, and whether anybody has read it.

    Examples:

        gatepost alerts list

        gatepost alerts ack
    """


@app.command("list")
def list_(site: SiteOption = SITE, most: Most = 20, json_output: JsonOption = False) -> None:
    """List alerts, newest first, each with what the next hop said when it took them. Exit status 1 when one is unread.

    Example:

        gatepost alerts list
    """
    try:
        found = alerts(journal_of(site_of(site)), most)
    except JournalError as error:
        fail(str(error))
    if json_output:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        for one in found:
            print("\n".join(_lines(one)))
    raise typer.Exit(any(one.what == "alert" and not one.seen for one in found))


def _lines(one: Told) -> list[str]:
    read = f"read by {printable(one.by)}, {moment(one.seen)}" if one.seen else "UNREAD"
    to = ", ".join(one.to) or "nobody"
    head = f"{moment(one.at)}  {one.what}{f' ({one.channel})' if one.channel else ''} to {to}: " + (
        f"NOT SENT: {one.failed}" if one.failed else read
    )
    rows = [
        f"{count:>9}  {what}{f': {name}' if name else ''}{f'  (first: {first})' if first else ''}" for count, what, name, first in one.lines
    ]
    return [head, *map(printable, rows), *(f"           taken: {name}: {printable(reply)}" for name, reply in one.replies.items())]


@app.command()
def ack(
    who: Annotated[str, typer.Option("--who", help="Who has read them; your account when not given.")] = "", site: SiteOption = SITE
) -> None:
    """Say that the alerts were read, so that the second contact is not told.

    Example:

        gatepost alerts ack
    """
    by = who or os.environ.get("SUDO_USER") or getpass.getuser()
    ask_keeper(site_of(site), Note(SEEN, "alerts", {"by": by}))
    print(f"written down: read by {by}")


@app.command()
def told(site: SiteOption = SITE, most: Most = 20, json_output: JsonOption = False) -> None:
    """List what employees told us, newest first.

    Example:

        gatepost alerts told
    """
    try:
        found = journal_of(site_of(site)).newest(TOLD, most)
    except JournalError as error:
        fail(str(error))
    if json_output:
        print(json.dumps([{"at": event.at, **event.data} for event in found], indent=1))
        return
    for event in found:
        who = printable(str(event.data["who"])) or "no name"
        print(f"{moment(event.at)}  {KINDS.get(event.data['kind'], event.data['kind'])} ({who})")
        print("\n".join(f"    {printable(line)}" for line in str(event.data["text"]).splitlines()))
