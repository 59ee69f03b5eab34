"""`gatepost site`: check and show the site file, and bring an older one to today's form.

Not its job: finding what is wrong (`gatepost.site`) or comparing with the machine (`gatepost doctor`).
Raises: nothing; a site with problems is exit status 1.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import fail
from gatepost.site.diversity import REMEDY, shared
from gatepost.site.load import dotted, load
from gatepost.site.model import Site
from gatepost.site.problem import Problem, SiteError
from gatepost.site.upgrade import Upgrade
from gatepost.site.upgrade import upgrade as upgraded
from gatepost.site.written import lines
from gatepost.system.files import write_atomic

DEFAULT_FILE = Path("/etc/gatepost/site.toml")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

File = Annotated[Path, typer.Argument(help="The site file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.callback()
def site() -> None:
    """Check and show the site file; bring an older one to today's form.

    Example:

        gatepost site check /etc/gatepost/site.toml
    """


@app.command()
def check(file: File = DEFAULT_FILE, json_output: Json = False) -> None:
    """Name every mistake in the site file, each with its line and what to do. Exit status 0 when there is none.

    A remark is no mistake: it says what is allowed and still a risk, such as the same software in two layers.
    """
    site, problems = _read(file)
    if json_output:
        remarks = [asdict(one) | {"text": str(one), "remedy": REMEDY} for one in (shared(site) if site else ())]
        _print_json({"ok": site is not None, "problems": [asdict(problem) for problem in problems], "remarks": remarks})
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


@app.command()
def upgrade(
    file: File = DEFAULT_FILE,
    write: Annotated[bool, typer.Option("--write", help="Write it; the file as it was stays beside it as FILE.old.")] = False,
) -> None:
    """Show what an older site file becomes with this Gatepost, each change with its reason; comments and order stay.

    Exit status 0: nothing to do, or written; 1: there is something to do; 2: the file cannot be read or written.
    """
    try:
        done = upgraded(_text(file))
        if write and done.after != done.before:
            kept = _replace(file.resolve(), done)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fail(f"{file}: {error}; gatepost site check {file} says more")
    _show_steps(file, done)
    if done.after == done.before:
        raise typer.Exit(1 if done.steps else 0)
    if not write:
        sys.stdout.write(f"nothing was changed; gatepost site upgrade {file} --write writes it\n")
        raise typer.Exit(1)
    sys.stdout.write(f"written; the file as it was is {kept}; next: gatepost site check {file}, gatepost plan\n")
    raise typer.Exit(1 if any(step.blocked for step in done.steps) else 0)


def _text(file: Path) -> str:
    """The characters as they are: line ends of other systems stay."""
    return file.read_bytes().decode("utf-8")


def _replace(file: Path, done: Upgrade) -> Path:
    """Write the file whole, with the owner and mode it has, and before it a copy of what it was; gives the copy's name."""
    is_now = file.stat()
    mode, owner = is_now.st_mode & 0o7777, (is_now.st_uid, is_now.st_gid)
    names = (file.with_name(f"{file.name}.old{number or ''}") for number in range(1000))
    kept = next(name for name in names if not name.exists())
    write_atomic(kept, done.before.encode(), mode, owner)
    write_atomic(file, done.after.encode(), mode, owner)
    return kept


def _show_steps(file: Path, done: Upgrade) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not done.steps:
        console.print(Text.assemble(("ok", "green"), f" {file}: nothing in it is of an older form"))
        return
    for step in done.steps:
        console.print(
            Text.assemble((f"{file}:{step.line}: ", "bold"), f"{dotted(step.path)}: {step.change.why} (since {step.change.since})")
        )
        if step.blocked:
            console.print(Text(f"      = {step.change.to} stands beside it: take one of them out by hand", "yellow"))
    for line in done.diff(str(file)):
        console.print(Text(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[0], "")))


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
        console = Console(highlight=False, soft_wrap=True)
        console.print(Text.assemble(("ok", "green"), sentence))
        for one in shared(site):
            console.print(Text.assemble(("remark: ", "yellow"), f"{one}\n      = {REMEDY}; gatepost why same-mta"))
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
