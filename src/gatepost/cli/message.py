"""`gatepost message ID`: the whole way of one mail, and why."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, journal_of, moment, printable, site_of
from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

WORDS = {
    "mail.delivered": "taken by the next hop",
    "mail.refused": "refused by the next hop",
    "mail.deferred": "not taken by the next hop yet",
    "mail.releasing": "release begun",
    "mail.released": "released",
    "mail.deleted": "deleted",
    "mail.unkept": "bytes removed from quarantine",
}


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
    for line in story(events):
        console.print(Text(printable(line)))


def story(events: list[Event]) -> list[str]:
    """The mail's way in sentences, a line each."""
    lines: list[str] = []
    for event in events:
        if event.kind == "mail.judged":
            lines += _judged(event)
        else:
            who = f" for {event.data['recipient']}" if event.data.get("recipient") else ""
            by = f" by {event.data['by']}" if event.data.get("by") else ""
            said = f": {event.data['reply']}" if event.data.get("reply") else ""
            lines.append(f"{moment(event.at)}  {WORDS.get(event.kind, event.kind)}{who}{by}{said}")
    return lines


def _judged(event: Event) -> list[str]:
    data = event.data
    client = f"{data['client_name'] or 'unknown'} [{data['client'] or 'local'}]"
    return [
        f"{moment(event.at)}  received from {client}, who said {data['helo'] or 'nothing'}"
        + (f", user {data['user']}" if data["user"] else ""),
        f"  from      {data['sender'] or '<>'}",
        *(f"  to        {one['address']} ({one['direction']})" for one in data["recipients"]),
        f"  subject   {data['subject']}",
        f"  size      {data['size']:,} bytes, SHA-256 {data['digest']}",
        *(f"  asked     {_engine(one)}" for one in data["engines"]),
        *(f"  found     {_finding(one)}" for one in data["findings"]),
        *(f"  decided   {one['disposition']} for {one['address']} by rule {one['rule']}" for one in data["recipients"]),
        f"  answered  {data['reply']}",
        *(["  kept      in quarantine"] if data["kept"] else []),
    ]


def _engine(one: dict[str, Any]) -> str:
    signatures = f", signatures {one['signatures']}" if one["signatures"] else ""
    return f"{one['name']} {one['version']}{signatures}: {one['state']} in {one['seconds'] * 1000:.1f} ms"


def _finding(one: dict[str, Any]) -> str:
    where = f" in part {one['part']}" if one["part"] else ""
    detail = f": {one['detail']}" if one["detail"] else ""
    score = f" ({one['score']:.1f} points)" if one["score"] else ""
    return f"{one['kind']} {one['name']}{score}{where} by {one['source']}{detail}"
