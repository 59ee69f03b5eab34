"""`gatepost site`: check and show the site file.

Not its job: finding what is wrong (`gatepost.site`) or comparing with the machine (`gatepost doctor`).
Raises: nothing; a site with problems is exit status 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from gatepost.site.load import load
from gatepost.site.model import Site
from gatepost.site.problem import Problem, SiteError
from gatepost.site.written import lines

DEFAULT_FILE = Path("/etc/gatepost/site.toml")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

File = Annotated[Path, typer.Argument(help="The site file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.callback()
def site() -> None:
    """Check and show the site file.

    Example:

        gatepost site check /etc/gatepost/site.toml
    """


@app.command()
def check(file: File = DEFAULT_FILE, json_output: Json = False) -> None:
    """Name every mistake in the site file, each with its line and what to do. Exit status 0 when there is none."""
    site, problems = _read(file)
    if json_output:
        _print_json({"ok": site is not None, "problems": [asdict(problem) for problem in problems]})
    else:
        _report(file, site, problems)
    raise typer.Exit(0 if site else 1)


@app.command()
def show(file: File = DEFAULT_FILE, json_output: Json = False) -> None:
    """Print the site with all defaults, so that nothing is left to guess."""
    site, problems = _read(file)
    if site is None:
        _report(file, None, problems)
        raise typer.Exit(1)
    values = site.model_dump(mode="json", by_alias=True, exclude_none=True)
    if json_output:
        _print_json(values)
    else:
        Console(highlight=False, soft_wrap=True).print(_toml(values), end="")


def _read(file: Path) -> tuple[Site | None, tuple[Problem, ...]]:
    kinds = [entry.name for entry in entry_points(group="gatepost.engines")]
    try:
        return load(file, kinds), ()
    except SiteError as error:
        return None, error.problems


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def _report(file: Path, site: Site | None, problems: tuple[Problem, ...]) -> None:
    if site:
        mail = site.mail
        sentence = f" {file}: {site.site.name}, mail for {', '.join(mail.domains)} goes on to {mail.next_hop}"
        Console(highlight=False, soft_wrap=True).print(Text.assemble(("ok", "green"), sentence))
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        console.print(_styled(problem), end="\n\n")
    count = len(problems)
    console.print(Text(f"{count} problem{'s' if count > 1 else ''}; nothing was changed", "bold"))


def _styled(problem: Problem) -> Text:
    """One problem like that of a good compiler: place, what, the line, the remedy. What a file says is never taken for markup."""
    text = Text.assemble((f"{problem.file}:{problem.line}: ", "bold"), ("error: ", "bold red"))
    text.append(f"{problem.key}: {problem.what}" if problem.key else problem.what)
    if problem.source:
        text.append(f"\n{problem.line:5} | ", "blue")
        text.append(problem.source)
    if problem.remedy:
        text.append("\n      = ", "blue")
        text.append(problem.remedy, "green")
    return text


def _toml(values: Mapping[str, Any]) -> Text:
    text = Text()
    for line in lines(values):
        text.append(line + "\n", "bold cyan" if line.startswith("[") else "")
    return text
