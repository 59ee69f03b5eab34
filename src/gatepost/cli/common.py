"""What several subjects of the command line share: the site, its journal, its keeper, and words for their errors.

Raises: `typer.Exit` with status 2, after one sentence with a remedy.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gatepost.deploy import storage
from gatepost.journal.interface import Journal, JournalError
from gatepost.report.story import moment, printable
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import Answer, Note, Request
from gatepost.site.load import load
from gatepost.site.model import Site
from gatepost.site.problem import SiteError

__all__ = [
    "SITE",
    "JsonOption",
    "SiteOption",
    "ask_keeper",
    "fail",
    "journal_of",
    "moment",
    "note",
    "printable",
    "site_of",
]

SITE = Path("/etc/gatepost/site.toml")

SiteOption = Annotated[Path, typer.Option("--site", metavar="FILE", envvar="GATEPOST_SITE", help="The site file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


def fail(sentence: str) -> NoReturn:
    """Say what is wrong and end."""
    sys.stderr.write(f"gatepost: {sentence}\n")
    raise typer.Exit(2)


def site_of(path: Path) -> Site:
    """The site, or its problems said."""
    try:
        return load(path)
    except SiteError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from None


def journal_of(site: Site) -> Journal:
    """The site's journal, for looking only."""
    try:
        return storage.journal(site)
    except JournalError as error:
        fail(str(error))


def ask_keeper(site: Site, request: Request) -> Answer:
    """Have the keeper do something."""
    path = Path(site.site.run) / "keeper.sock"
    try:
        return ask_once(path, request)
    except KeeperError as error:
        fail(str(error))
    except OSError as error:
        fail(f"the gateway does not run ({path}: {error.strerror}); start it with gatepost mail serve")


def note(site: Site, event: Note) -> None:
    """Have something written to the journal; nothing when no gateway runs, since then nobody writes it."""
    try:
        ask_once(Path(site.site.run) / "keeper.sock", event)
    except OSError:
        return
    except KeeperError as error:
        sys.stderr.write(f"gatepost: not in the journal: {error}\n")
