"""`gatepost quarantine`: what was stopped, and what to do with it."""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gatepost.cli.common import SITE, JsonOption, SiteOption, ask_keeper, fail, journal_of, printable, site_of
from gatepost.cli.log import table
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.states import State
from gatepost.mail.act.contents import ContentError, Contents
from gatepost.mail.act.quarantine import FALSE_ALARM, Quarantine, QuarantineError
from gatepost.mail.act.quarantine import false_alarm as false_alarm_of
from gatepost.report.story import plain, story
from gatepost.services import keys
from gatepost.services.messages import Delete, Foresee, Foreseen, Note, Release
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Id = Annotated[str, typer.Argument(metavar="ID", help="The mail's id.")]
To = Annotated[str, typer.Argument(metavar="RECIPIENT", help="One of its recipients.")]


@app.callback()
def quarantine() -> None:
    """What was stopped: list, show, release to one recipient, delete.

    Example:

        gatepost quarantine list
    """


@app.command("list")
def list_(
    site: SiteOption = SITE,
    recipient: Annotated[str, typer.Option(help="Recipient, or @domain.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Also refused mails whose bytes are kept.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = 50,
    json_lines: JsonOption = False,
) -> None:
    """List what is held, newest last.

    Example:

        gatepost quarantine list --recipient bob@widget.example
    """
    query = Query(recipient=recipient, kept=True, states=() if every else (State.QUARANTINED,), limit=limit)
    try:
        rows = journal_of(site_of(site)).search(query)[::-1]
    except JournalError as error:
        fail(str(error))
    if json_lines:
        for row in rows:
            sys.stdout.write(json.dumps(asdict(row)) + "\n")
    elif rows:
        Console().print(table(rows))
    else:
        sys.stdout.write("nothing is held\n")


@app.command()
def show(
    identifier: Id,
    site: SiteOption = SITE,
    raw: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the mail's bytes to this file. They may be dangerous.")] = None,
) -> None:
    """Show one held mail: its way, what was found, for whom it is held.

    Example:

        gatepost quarantine show 1M84KHRVTA6EBD
    """
    declared = site_of(site)
    try:
        held = _quarantine(declared, opened=raw is not None)
        console = Console(highlight=False, soft_wrap=True, markup=False)
        for line in plain(story(held.show(identifier).events)):
            console.print(printable(line))
        if raw is not None:
            raw.write_bytes(held.content(identifier))
            raw.chmod(0o600)
    except (QuarantineError, ContentError, JournalError, keys.KeyFileError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _quarantine(site: Site, *, opened: bool) -> Quarantine:
    """For looking; the key is read only where contents are to be opened."""
    state = Path(site.site.state)
    key = keys.existing(state / "keys", "quarantine") if site.quarantine.encrypt and opened else None
    return Quarantine(Contents(state / "quarantine", key), journal_of(site), lambda: 0.0)


@app.command()
def forecast(identifier: Id, recipient: To, site: SiteOption = SITE) -> None:
    """Say what a release would do, and ask the next hop whether it would take the mail. Nothing is released.

    Example:

        gatepost quarantine forecast 1M84KHRVTA6EBD bob@widget.example
    """
    seen = ask_keeper(site_of(site), Foresee(identifier.upper(), recipient))
    assert isinstance(seen, Foreseen)
    lines = [
        f"from {seen.envelope.sender or '<>'} to {seen.envelope.recipients[0]} alone, by way of {seen.next_hop}",
        f"{seen.size:,} bytes, SHA-256 {seen.digest}",
        *([f"{seen.next_hop} says to it: {seen.reply.code} {seen.reply.status} {seen.reply.text}"] if seen.reply else []),
        *([f"it stays held for {', '.join(seen.others)}"] if seen.others else []),
    ]
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


@app.command()
def release(
    identifier: Id,
    recipient: To,
    site: SiteOption = SITE,
    false_alarm: Annotated[bool, typer.Option("--false-alarm", help="The finding was wrong; the reports count it.")] = False,
) -> None:
    """Deliver a held mail, byte for byte, to one of its recipients.

    Example:

        gatepost quarantine release 1M84KHRVTA6EBD bob@widget.example
    """
    declared, who = site_of(site), getpass.getuser()
    ask_keeper(declared, Release(identifier.upper(), recipient, who))
    if false_alarm:
        row = next(one for one in journal_of(declared).search(Query(id=identifier, recipient=recipient)))
        ask_keeper(declared, Note(FALSE_ALARM, row.id, false_alarm_of(row, who)))
    sys.stdout.write(f"released to {printable(recipient)}\n")


@app.command()
def delete(identifier: Id, recipient: To, site: SiteOption = SITE) -> None:
    """Delete a held mail for one of its recipients; its bytes go when nobody else has it.

    Example:

        gatepost quarantine delete 1M84KHRVTA6EBD bob@widget.example
    """
    ask_keeper(site_of(site), Delete(identifier.upper(), recipient, getpass.getuser()))
    sys.stdout.write(f"deleted for {printable(recipient)}\n")
