"""`gatepost doctor`: what is wrong with this installation, with the remedy of each finding.

What it does: gives the checks the real machine, and shows what they saw.
Not its job: the checks (`gatepost.deploy.doctor`).
Raises: nothing; exit status 0 all well, 1 warnings, 2 something keeps mail from being scanned.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import SITE, JsonOption, SiteOption
from gatepost.deploy.doctor import table
from gatepost.deploy.doctor.check import Check, Diagnosis, Machine, Running, Severity, examine, status
from gatepost.services.health import judge
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import Health, Look
from gatepost.site.load import load
from gatepost.site.model import Site
from gatepost.site.problem import Problem, SiteError
from gatepost.system.clock import synchronised
from gatepost.system.jail import Jail, enter
from gatepost.system.sockets import peer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MARKS = {Severity.WELL: ("✓", "green"), Severity.WARNING: ("!", "yellow"), Severity.ERROR: ("✗", "red")}
POSTCONF_SECONDS = 10


@app.command()
def doctor(site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """Find what is wrong with this installation, and say what to do. Exit status 0 all well, 1 warnings, 2 mail is not scanned or not delivered.

    Run it as the user that runs Gatepost, or as root.

    Example:

        gatepost doctor --site /etc/gatepost/site.toml
    """
    raise typer.Exit(status(show(diagnoses(site), json_output=json_output)))


def show(diagnoses: Iterable[Diagnosis], *, json_output: bool) -> list[Diagnosis]:
    """Print each diagnosis as it comes, or all of them as JSON; gives them."""
    console = Console(highlight=False, soft_wrap=True)
    found = []
    for one in diagnoses:
        found.append(one)
        if not json_output:
            console.print(_line(one))
    if json_output:
        sys.stdout.write(json.dumps({"status": status(found), "checks": [asdict(one) for one in found]}, indent=2) + "\n")
    else:
        console.print(_summary(found))
    return found


def diagnoses(path: Path, more: tuple[Check, ...] = ()) -> Iterator[Diagnosis]:
    """What all checks see, then what `more` see."""
    kinds = [entry.name for entry in entry_points(group="gatepost.engines")]
    try:
        site = load(path, kinds)
    except SiteError as error:
        yield from (_problem(problem) for problem in error.problems)
        return
    yield Diagnosis(table.SITE, Severity.WELL, f"{path} has no mistake", "")
    yield from examine((*table.CHECKS, *more), site, _machine(site, path))


def _problem(problem: Problem) -> Diagnosis:
    what = f"{problem.key}: {problem.what}" if problem.key else problem.what
    return Diagnosis(table.SITE, Severity.ERROR, f"{problem.file}:{problem.line}: {what}", problem.remedy)


def _machine(site: Site, path: Path) -> Machine:
    limits = {"descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
    return Machine(
        gateway=_gateway(site), jail=_missing_layers, postfix=_postfix(), limits=limits, synchronised=synchronised, site_file=path
    )


def _gateway(site: Site) -> Running | None:
    """The gateway as it answers now, or None."""
    path = Path(site.site.run) / "keeper.sock"
    try:
        keeper = peer(path)
        health = ask_once(path, Look())
    except (OSError, KeeperError):
        return None
    assert isinstance(health, Health)
    sentence, well = judge(health, time.time())
    return Running(well, sentence, keeper)


def _missing_layers() -> tuple[str, ...]:
    """What a jail would lack here, tried in a child, since nobody comes out of a jail again."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writing, "\n".join(enter(Jail((Path("/usr"),)))).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(pid, 0)
    return tuple(told.splitlines())


def _postfix() -> dict[str, str] | None:
    """Postfix's parameters as its main.cf sets them, misspelt ones too; None without Postfix. MAIL_CONFIG names another folder (postconf(1))."""
    try:
        result = subprocess.run(["postconf", "-n"], capture_output=True, text=True, timeout=POSTCONF_SECONDS, check=False)
        unused = [line for line in result.stderr.splitlines() if "unused parameter: " in line]
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = result.stdout.splitlines() + [line.partition("unused parameter: ")[2] for line in unused]
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs} if not result.returncode else None


def _line(one: Diagnosis) -> Text:
    mark, colour = MARKS[one.severity]
    text = Text.assemble((f"{mark} ", colour), (f"{one.check}: ", "bold"), one.seen)
    if one.remedy:
        text.append(f"\n    = {one.remedy}", colour)
    return text


def _summary(found: list[Diagnosis]) -> str:
    errors = sum(one.severity is Severity.ERROR for one in found)
    warnings = sum(one.severity is Severity.WARNING for one in found)
    return f"\n{len(found)} looked at: {errors} errors, {warnings} warnings"
