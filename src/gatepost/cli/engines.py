"""`gatepost engines`: the scanning engines of a site, and whether they catch what they must.

Not its job: the samples and the judgement (`gatepost.mail.inspect.certify`).
Raises: nothing; exit status 0 all well, 1 an engine is not certified, 2 it could not be asked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, printable, site_of
from gatepost.mail.inspect import registry
from gatepost.mail.inspect.certify import Certificate, certify
from gatepost.mail.inspect.engine import Engine, EngineError, EngineInfo
from gatepost.mail.pipeline import opened
from gatepost.services import wiring
from gatepost.services.certificates import CERTIFIED
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import Note
from gatepost.site.mail import ANTIVIRUS
from gatepost.site.mail import Engine as Section
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

UNKNOWN = EngineInfo("")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One engine of the site: what it says of itself, or why it cannot be asked."""

    name: str
    section: Section
    engine: Engine | None = None
    info: EngineInfo = UNKNOWN
    trouble: str = ""

    @property
    def kind(self) -> str:
        return self.section.kind or self.name


@app.callback()
def engines() -> None:
    """The scanning engines of a site.

    Example:

        gatepost engines certify clamav
    """


@app.command(name="list")
def list_engines(site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """Every engine of the site: version, signatures and their age. Exit status 2 when one cannot be asked.

    Example:

        gatepost engines list
    """
    asked = list(_asked(site_of(site), ()))
    if json_output:
        sys.stdout.write(json.dumps([_as_json(one) for one in asked], indent=2) + "\n")
    else:
        Console(highlight=False).print(_table(asked))
    raise typer.Exit(2 if any(one.trouble for one in asked) else 0)


@app.command(name="certify")
def certify_engines(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Engines; all when none is named.")] = None,
    site: SiteOption = SITE,
    json_output: JsonOption = False,
) -> None:
    """Show each engine harmless samples in every wrapping: it must find the EICAR test file, and pass the twin that differs in one byte.

    Engines that do not look for viruses are shown the twins only. Certificates go to the journal when the gateway runs.
    Exit status 0 all passed, 1 one missed something or raised a false alarm, 2 one could not be asked.

    Examples:

        gatepost engines certify

        gatepost engines certify clamav --json
    """
    chosen = site_of(site)
    status = 0
    console = Console(highlight=False, soft_wrap=True)
    results = []
    for one in _asked(chosen, tuple(names or ())):
        certificate = _certificate(chosen, one)
        status = max(status, 2 if certificate is None else 0 if certificate.passed else 1)
        recorded = certificate is not None and _record(chosen, certificate)
        results.append(_result(one, certificate, recorded=recorded))
        if not json_output:
            _show(console, one, certificate, recorded=recorded)
    if json_output:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    raise typer.Exit(status)


def _asked(site: Site, names: tuple[str, ...]) -> Iterator[_Asked]:
    for name in names:
        if name not in site.engines:
            fail(f"the site has no engine {name!r}; it has {', '.join(site.engines)}")
    for name, section in site.engines.items():
        if section.enabled and (not names or name in names):
            yield _ask(name, section)


def _ask(name: str, section: Section) -> _Asked:
    try:
        engine = registry.make(section.kind or name, name, section.options)
        return _Asked(name, section, engine, engine.info())
    except EngineError as error:
        return _Asked(name, section, trouble=str(error))


def _certificate(site: Site, one: _Asked) -> Certificate | None:
    if one.engine is None:
        return None
    limits = wiring.limits(site)
    return certify(one.engine, lambda raw: opened(raw, limits), antivirus=one.kind in ANTIVIRUS)


def _record(site: Site, certificate: Certificate) -> bool:
    """Have the certificate written to the journal; whether a gateway runs to do it."""
    note = Note(CERTIFIED, certificate.engine, {**asdict(certificate), "id": certificate.id, "passed": certificate.passed})
    try:
        ask_once(Path(site.site.run) / "keeper.sock", note)
    except OSError:
        return False
    except KeeperError as error:
        fail(str(error))
    return True


def _result(one: _Asked, certificate: Certificate | None, *, recorded: bool) -> dict[str, object]:
    if certificate is None:
        return {"engine": one.name, "passed": False, "trouble": one.trouble}
    return {**asdict(certificate), "id": certificate.id, "passed": certificate.passed, "recorded": recorded}


def _show(console: Console, one: _Asked, certificate: Certificate | None, *, recorded: bool) -> None:
    if certificate is None:
        console.print(f"[red]✗[/red] {one.name}: ", end="")
        console.print(printable(one.trouble), markup=False)
        return
    found = f"finds {len(certificate.detected)} wrappings" if certificate.antivirus else "raises no false alarm"
    if certificate.passed:
        where = "in the journal" if recorded else "not in the journal: the gateway does not run"
        console.print(f"[green]✓[/green] {one.name}: {found}; certificate {certificate.id}, {where}")
        return
    wrong = f"{len(certificate.missed)} missed, {len(certificate.false_alarms)} false alarms"
    console.print(f"[red]✗[/red] {one.name}: not certified: {wrong}; do not rely on it")
    for sample, why in certificate.missed:
        console.print(f"    missed {sample}: {printable(why)}", markup=False)
    for sample, why in certificate.false_alarms:
        console.print(f"    false alarm {sample}: {printable(why)}", markup=False)


def _as_json(one: _Asked) -> dict[str, object]:
    about = {"engine": one.name, "kind": one.kind, "role": one.section.role, "directions": one.section.directions}
    return about | {
        "version": one.info.version,
        "signatures": one.info.signatures,
        "signatures_at": one.info.signatures_at,
        "trouble": one.trouble,
    }


def _table(asked: list[_Asked]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("engine", "kind", "role", "version", "signatures", "age"):
        table.add_column(heading)
    for one in asked:
        version = f"[red]{printable(one.trouble)}[/red]" if one.trouble else printable(one.info.version)
        table.add_row(one.name, one.kind, one.section.role, version, printable(one.info.signatures), _age(one.info.signatures_at))
    return table


def _age(at: float) -> str:
    return f"{(time.time() - at) / 3600:.0f} h" if at else ""
