"""`gatepost signatures`: the sets of signatures of a site: which are in use, update, go back.

Not its job: the update itself (`gatepost.signatures`), the trial (`gatepost.services.trials`), single signatures and delivered mail (`trust`).
Raises: nothing; exit status 0 all well, 1 a set was refused or is old, 2 it could not be done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gatepost.cli import trust
from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, moment, note, printable, site_of
from gatepost.services.messages import Note
from gatepost.services.trials import trial
from gatepost.signatures.manifest import RefusedError
from gatepost.signatures.store import Store, Stored
from gatepost.signatures.update import OLD, age, update
from gatepost.site.model import Site
from gatepost.system.sockets import peer

_SERVICE_MANAGER = 1
"""The first process of a host."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(trust.app)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Sets; all when none is named.")]


@app.callback()
def signatures() -> None:
    """The sets of signatures of a site.

    Example:

        gatepost signatures update
    """


@app.command(name="list")
def list_sets(site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """Every set, the one in use and what there is to go back to. Exit status 1 when a set is older than a day, or missing.

    Example:

        gatepost signatures list
    """
    chosen = site_of(site)
    rows = [(name, one, one == store(chosen, name).current()) for name in chosen.signatures for one in store(chosen, name).sets()]
    if json_output:
        sys.stdout.write(json.dumps([_as_json(*row) for row in rows], indent=2) + "\n")
    else:
        Console(highlight=False).print(_table(rows))
    fresh = {name for name, one, used in rows if used and age(one, time.time()) <= OLD}
    raise typer.Exit(0 if fresh == set(chosen.signatures) else 1)


@app.command(name="update")
def update_sets(names: Names = None, site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """Fetch, prove, try and swap. A set that is damaged, older, empty, or fails its trial is refused, and the one in use stays.

    Scanning goes on meanwhile; a running gateway takes new sets over without dropping a mail. Then delivered mail is judged again
    (see gatepost signatures retro). Exit status 1 when a set was refused.

    Example:

        gatepost signatures update --json
    """
    chosen = site_of(site)
    outcomes = [_update(chosen, name) for name in _chosen(chosen, names)]
    _finish(chosen, outcomes, json_output=json_output, again=True)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The set.")], site: SiteOption = SITE, json_output: JsonOption = False
) -> None:
    """Go back to the set before the one in use; the one in use is not taken again.

    Example:

        gatepost signatures rollback own-rules
    """
    chosen = site_of(site)
    _chosen(chosen, [name])
    try:
        with store(chosen, name).locked():
            outcome = _Outcome(name, "rolled back", store(chosen, name).rollback().version)
    except RefusedError as error:
        outcome = _Outcome(name, "refused", why=str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    _finish(chosen, [outcome], json_output=json_output)


@dataclass(frozen=True, slots=True)
class _Outcome:
    name: str
    what: str
    version: int = -1
    why: str = ""


def store(site: Site, name: str) -> Store:
    """Where the sets of one name lie."""
    return Store(Path(site.site.state) / "signatures" / name)


def _chosen(site: Site, names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in site.signatures:
            fail(f"the site has no set {name!r}; it has {', '.join(site.signatures) or 'none: declare one as [signatures.NAME]'}")
    return names or list(site.signatures)


def _update(site: Site, name: str) -> _Outcome:
    source = site.signatures[name]
    try:
        taken = update(store(site, name), source, trial(site, source.kind))
    except RefusedError as error:
        return _Outcome(name, "refused", why=str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    return _Outcome(name, "updated", taken.version) if taken else _Outcome(name, "unchanged")


def _finish(site: Site, outcomes: list[_Outcome], *, json_output: bool, again: bool = False) -> None:
    """Tell the journal, the gateway, and the user; with `again` delivered mail is judged by what is new, where a gateway runs."""
    changed = [outcome for outcome in outcomes if outcome.what in {"updated", "rolled back"}]
    for outcome in outcomes:
        if outcome.what != "unchanged":
            _note(site, outcome)
    reloaded = bool(changed) and _reload(site)
    if json_output:
        told = [{"set": one.name, "what": one.what, "version": one.version, "why": one.why, "reloaded": reloaded} for one in outcomes]
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        for one in outcomes:
            sys.stdout.write(_sentence(one) + "\n")
    if again and _keeper(site).exists():
        found = trust.retro_lines(trust.judge_again(site))
        (sys.stderr if json_output else sys.stdout).write("\n".join(found) + "\n")
    raise typer.Exit(1 if any(outcome.what == "refused" for outcome in outcomes) else 0)


def _sentence(one: _Outcome) -> str:
    if one.why:
        return printable(f"{one.name}: refused, the set in use stays: {one.why}")
    return f"{one.name}: {one.what}" + (f" to version {one.version}" if one.version >= 0 else "")


def _note(site: Site, outcome: _Outcome) -> None:
    kind = f"signatures.{outcome.what.replace(' ', '')}"
    note(site, Note(kind, outcome.name, {"version": outcome.version, "why": outcome.why}))


def _reload(site: Site) -> bool:
    """Have a running gateway take new signatures over; whether one runs. The keeper's parent is who reloads.

    Where every process is a unit of its own, that parent is the service manager, and a path unit of ours makes fresh workers.
    """
    try:
        parent = int(Path(f"/proc/{peer(_keeper(site))}/stat").read_text().rpartition(")")[2].split()[1])
        if parent != _SERVICE_MANAGER:
            os.kill(parent, signal.SIGHUP)
    except OSError:
        return False
    return True


def _keeper(site: Site) -> Path:
    return Path(site.site.run) / "keeper.sock"


def _as_json(name: str, one: Stored, used: bool) -> dict[str, object]:
    return {"set": name, "version": one.version, "made": one.made, "taken": one.taken, "in_use": used, "withdrawn": one.withdrawn}


def _table(rows: list[tuple[str, Stored, bool]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("set", "version", "taken", "age", ""):
        table.add_column(heading)
    for name, one, used in rows:
        state = "in use" if used else "withdrawn" if one.withdrawn else ""
        table.add_row(name, str(one.version), moment(one.taken), f"{age(one, time.time()) / 3600:.0f} h", state)
    return table
