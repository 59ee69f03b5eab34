"""`gatepost message ID`: the whole way of one mail, and why."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, journal_of, printable, site_of
from gatepost.journal.interface import JournalError
from gatepost.report.story import plain, story
from gatepost.report.why import hint

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def message(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The id that logs, replies and alerts show.")],
    site: SiteOption = SITE,
    json_lines: JsonOption = False,
) -> None:
    """The whole way of one mail: from whom, what was found by whom, what was decided by which rule, what followed.

    Example:

        gatepost message 1M84KHRVTA6EBD
    """
    try:
        events = [event for _number, event in journal_of(site_of(site)).events(subject=identifier.upper())]
    except JournalError as error:
        fail(str(error))
    if not events:
        fail(f"no mail has the id {printable(identifier)}; gatepost log lists them")
    if json_lines:
        for event in events:
            sys.stdout.write(json.dumps({"at": event.at, "kind": event.kind, **event.data}) + "\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in plain(story(events)):
        console.print(Text(printable(line)))
    if more := hint(f"mail-{one['kind']}" for event in events for one in event.data.get("findings", ())):
        console.print(f"\n{more}")
