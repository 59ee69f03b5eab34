"""The part of `gatepost signatures` about single signatures and delivered mail: rates, undo, redo, retro.

Not its job: deciding (`gatepost.mail.inspect.brake`), doing it (the keeper), looking through delivered mail (`gatepost.services.retro`).
Raises: nothing; exit status 0 done, 1 something was found or could not be released, 2 it could not be done.
"""

from __future__ import annotations

import getpass
import json
import sys
import time
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from gatepost.cli.common import SITE, JsonOption, SiteOption, ask_keeper, fail, journal_of, moment, printable, site_of
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.states import State
from gatepost.mail.inspect.brake import Mode, Signature
from gatepost.mail.inspect.engine import EngineError
from gatepost.services import retro
from gatepost.services.keeper import KeeperError
from gatepost.services.messages import Hits, Rates, Redo, Signatures, Undo, Undone
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The signature, as alerts and gatepost message name it.")]
Engine = Annotated[str, typer.Option("--engine", metavar="ENGINE", help="The engine that gives this name, where several do.")]

MEANING = {
    "": "",
    Mode.BRAKED: "braked: what it alone hits is held, not refused",
    Mode.UNDONE: "undone: does not count",
    Mode.TRUSTED: "trusted: never braked",
}


@app.command()
def rates(site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """How often each signature stands alone, and which are braked or undone. Exit status 1 when one is braked and waits for you.

    A signature stands alone on a mail that no other antivirus engine finds anything in.

    Example:

        gatepost signatures rates
    """
    found = _signatures(site_of(site))
    if json_output:
        sys.stdout.write(json.dumps([msgspec.to_builtins(one) for one in found], indent=2) + "\n")
    else:
        Console(highlight=False, soft_wrap=True).print(_rates(found))
    raise typer.Exit(1 if any(one.mode == Mode.BRAKED for one in found) else 0)


def _signatures(site: Site) -> tuple[Hits, ...]:
    answer = ask_keeper(site, Rates())
    assert isinstance(answer, Signatures)
    return answer.hits


def _rates(found: tuple[Hits, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("signature", "engine", "alone now", "of mails", "usual", ""):
        table.add_column(heading)
    for one in found:
        table.add_row(printable(one.name), one.engine, str(one.hits), str(one.mails), f"{one.usual:.1f}", MEANING[one.mode])
    return table


@app.command()
def undo(name: Name, engine: Engine = "", site: SiteOption = SITE) -> None:
    """Let a signature not count any more, and release what only it held. Where a second engine hits too, mail is stopped as before.

    Mail that was refused because of it is not delivered, since its sender was told so; gatepost quarantine list --all shows the copies.

    Example:

        gatepost signatures undo Win.Trojan.Example-1
    """
    chosen = site_of(site)
    signature = _one(chosen, name, engine)
    answer = ask_keeper(chosen, Undo(*signature, getpass.getuser()))
    assert isinstance(answer, Undone)
    sys.stdout.write(f"{_named(signature)} does not count any more; {answer.released} kept mails were released to their recipients\n")
    if answer.refused:
        sys.stdout.write(
            f"{answer.refused} mails were refused because of it; their senders know, and copies are kept: gatepost quarantine list --all\n"
        )
    for failed in answer.failed:
        sys.stderr.write(f"gatepost: still held: {printable(failed)}\n")
    raise typer.Exit(1 if answer.failed else 0)


@app.command()
def redo(name: Name, engine: Engine = "", site: SiteOption = SITE) -> None:
    """Let a signature count again, braked or undone; its rate will not brake it any more.

    Example:

        gatepost signatures redo Win.Trojan.Example-1
    """
    chosen = site_of(site)
    signature = _one(chosen, name, engine)
    ask_keeper(chosen, Redo(*signature, getpass.getuser()))
    sys.stdout.write(f"{_named(signature)} counts again\n")
    passed = {row.id for row in journal_of(chosen).search(_passed(signature))}
    if passed:
        sys.stdout.write(f"{len(passed)} mails that it hits were delivered meanwhile: {', '.join(sorted(passed)[:10])}\n")


def _passed(signature: Signature) -> Query:
    return Query(finding=signature[1], engine=signature[0], states=(State.ACCEPTED, State.DELIVERED, State.RELEASED), limit=1000)


def _named(signature: Signature) -> str:
    return printable(f"{signature[1]} of {signature[0]}")


def _one(site: Site, name: str, engine: str) -> Signature:
    """The signature that is meant: its engine is found where only one has ever given this name."""
    if engine:
        if engine not in site.engines:
            fail(f"the site has no engine {engine!r}; it has {', '.join(site.engines)}")
        return engine, name
    engines = {one.engine for one in _signatures(site) if one.name == name} or _engines(site, name)
    if len(engines) != 1:
        fail(
            f"{' and '.join(sorted(engines))} both give the name {name!r}; say which with --engine"
            if engines
            else f"no engine has named {name!r} yet; say whose signature it is with --engine"
        )
    return engines.pop(), name


def _engines(site: Site, name: str) -> set[str]:
    journal = journal_of(site)
    rows = journal.search(Query(finding=name, limit=1000))
    events = (event for row in {row.id for row in rows} for _, event in journal.events(subject=row, kind="mail.judged"))
    return {finding["source"] for event in events for finding in event.data["findings"] if finding["name"] == name}


@app.command(name="retro")
def retro_scan(
    always: Annotated[bool, typer.Option("--always", help="Ask again what signatures have said before.")] = False,
    site: SiteOption = SITE,
    json_output: JsonOption = False,
) -> None:
    """Judge delivered mail again by what signatures know today, and tell who got bad mail. After each update this is done by itself.

    Lists of digests judge every part of every mail of the last days (retro.keep); other engines judge the copies that retro.copies keeps.
    Who got bad mail is told to the administrator once. Exit status 1 when there is such mail that was not told before.

    Example:

        gatepost signatures retro
    """
    outcome = judge_again(site_of(site), always=always)
    if json_output:
        sys.stdout.write(json.dumps(asdict(outcome), indent=2) + "\n")
    else:
        for line in retro_lines(outcome):
            sys.stdout.write(line + "\n")
    raise typer.Exit(1 if outcome.found else 0)


def judge_again(site: Site, *, always: bool = False) -> retro.Outcome:
    """Run the retro-scan, or say why it cannot be."""
    try:
        return retro.run(site, time.time(), always=always)
    except (EngineError, JournalError, KeeperError) as error:
        fail(f"delivered mail is not judged again: {error}")
    except OSError as error:
        fail(f"delivered mail is not judged again: {error.filename or 'the gateway does not run'}: {error.strerror}")


def retro_lines(outcome: retro.Outcome) -> list[str]:
    """What a retro-scan found, in sentences."""
    lines = [f"delivered mail judged again: {outcome.mails} mails, {outcome.digests} contents, {outcome.copies} copies"]
    if outcome.failed:
        lines.append(f"{outcome.failed} copies could not be judged; the log says why")
    for identifier, one in outcome.found.items():
        hits = ", ".join(dict.fromkeys(f"{hit.name} by {hit.engine}{f' in {hit.file}' if hit.file else ''}" for hit in one.hits))
        lines.append(printable(f"{identifier} of {moment(one.at)} from {one.sender or '<>'}: {hits}; got by {', '.join(one.recipients)}"))
    return lines
