"""`gatepost storage`: where the journal is, and its move to PostgreSQL or back.

Not its job: the stores (`gatepost.journal`), the choice (`gatepost.deploy.storage`).
Raises: nothing; exit status 0 done, 1 more has to be done, 2 it could not be done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, site_of
from gatepost.deploy import storage as stores
from gatepost.journal.interface import Chained, JournalError
from gatepost.journal.move import Moved
from gatepost.journal.move import move as carry
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import Look
from gatepost.site.model import Site
from gatepost.site.storage import parse_storage

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

SQLITE = "sqlite"

To = Annotated[
    str, typer.Option("--to", metavar="URL", help="Where to: postgresql://USER@HOST/DATABASE, or sqlite for the file in the state folder.")
]


@app.callback()
def storage_app() -> None:
    """Where the journal is kept: in a file (SQLite), or in PostgreSQL for several nodes.

    Examples:

        gatepost storage show

        gatepost storage move --to postgresql://gatepost@db.widget.example/gatepost
    """


@app.command()
def show(site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """Say where the journal is, how many events it has, and how many of this node wait to be sent there. Exit status 1 when some wait.

    Example:

        gatepost storage show
    """
    found = site_of(site)
    try:
        store = _store(found, found.storage.url, writes=False)
        glance, head = store.look(), store.head()
        waiting = stores.waiting(found, head)
    except JournalError as error:
        fail(str(error))
    if json_output:
        print(
            json.dumps(
                {"url": found.storage.url, "node": found.storage.name, "events": glance.events, "head": head.hash.hex(), "waiting": waiting}
            )
        )
    else:
        print(f"journal   {found.storage.url or stores.sqlite_path(found.site.state)}")
        print(f"events    {glance.events}")
        if found.storage.url:
            print(f"node      {found.storage.name}, its chain ends with event {head.sequence}")
            print(f"waiting   {waiting} events of this node")
    raise typer.Exit(bool(waiting))


@app.command()
def prepare(to: To) -> None:
    """Make the tables and the two roles in a PostgreSQL database, or bring them up to date. Run it as the owner of the database.

    Users of nodes get the role gatepost_node, which may add events but not change them; those who only look get gatepost_reader.

    Example:

        gatepost storage prepare --to postgresql://owner@db.widget.example/gatepost
    """
    try:
        stores.prepare(parse_storage(to))
    except (JournalError, ValueError) as error:
        fail(str(error))
    print("prepared; give the role gatepost_node to the user of each node: GRANT gatepost_node TO mx1")


@app.command()
def move(to: To, site: SiteOption = SITE) -> None:
    """Carry the journal over to another store, and compare counts and hashes. What was interrupted goes on when it is run again.

    It may run while the gateway does; then stop the gateway and run it once more for the rest (exit status 1 says so).
    The old store is left as it is. At the end, write the new place under [storage] in the site file and start the gateway.

    Examples:

        gatepost storage move --to postgresql://gatepost@db.widget.example/gatepost

        gatepost storage move --to sqlite
    """
    found = site_of(site)
    try:
        url = "" if to == SQLITE else parse_storage(to)
        if url == found.storage.url:
            fail("the journal is there already")
        source, target = _store(found, found.storage.url, writes=False), _store(found, url)
        moved = _moved(found, source, target)
        running = _runs(found)
        if not running:
            stores.settle(found, url, source)
        target.close()
    except (JournalError, ValueError) as error:
        fail(str(error))
    _tell(moved, url, running=running)
    raise typer.Exit(running)


def _store(site: Site, url: str, *, writes: bool = True) -> Chained:
    return stores.store(url, site.site.state, site.storage.name, writes=writes)


def _moved(site: Site, source: Chained, target: Chained) -> Moved:
    if left := stores.waiting(site, source.head()):
        raise JournalError(
            "refused", f"{left} events of this node wait in its spool for PostgreSQL; start the gateway until they are there"
        )
    if others := stores.others(source, site.storage.name):
        raise JournalError("refused", f"{', '.join(others)} write to this journal too; only the journal of a single node can be moved")
    return carry(source, target, _progress)


def _progress(done: int, end: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {end} events" + ("\n" if done == end else ""))


def _runs(site: Site) -> bool:
    try:
        ask_once(Path(site.site.run) / "keeper.sock", Look())
    except (KeeperError, OSError):
        return False
    return True


def _tell(moved: Moved, url: str, *, running: bool) -> None:
    print(f"{moved.new} events carried over; there are {moved.events} now, each fits the one before it")
    print(f"the last is number {moved.sequence} with hash {moved.hash}, here and there")
    if moved.compared:
        print(
            f"mails and recipients are counted alike: {', '.join(f'{count} {state}' for state, count in sorted(moved.states.items())) or 'none'}"
        )
    else:
        print("mails were not counted here and there: the journal has forgotten old events, and with them what it knew of some mails")
    if running:
        print("the gateway still runs: stop it, and run this once more for what came meanwhile")
    else:
        print(f'now write into the site file:  [storage]  url = "{url}"  and start the gateway')
