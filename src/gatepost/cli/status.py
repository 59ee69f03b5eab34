"""`gatepost status`: is everything scanned, and is everybody alive."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import typer
from rich.console import Console

from gatepost.cli.common import SITE, JsonOption, SiteOption, ask_keeper, moment, site_of
from gatepost.services.health import judge
from gatepost.services.messages import Health, Look
from gatepost.signatures.store import Store
from gatepost.signatures.update import OLD, age
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def status(site: SiteOption = SITE, json_lines: JsonOption = False) -> None:
    """One sentence and a light, then the numbers. Exit status 0 when mail flows and is scanned, 1 when it does not, 2 when nobody answers.

    Example:

        gatepost status
    """
    chosen = site_of(site)
    health = ask_keeper(chosen, Look())
    assert isinstance(health, Health)
    sentence, well = judge(health, time.time())
    sets = _sets(chosen)
    if json_lines:
        beat = health.beat
        numbers = {
            "well": well,
            "sentence": sentence,
            "started": health.started,
            "counts": health.counts,
            "canary": _canary(health),
            "signatures": sets,
        }
        sys.stdout.write(json.dumps(numbers | ({"workers": beat.workers, "waiting": beat.waiting} if beat else {})) + "\n")
    else:
        _show(health, sentence, well=well)
        for name, seconds in sets.items():
            sys.stdout.write(f"  signatures {name}: {seconds / 3600:.0f} hours old{', too old' if seconds > OLD else ''}\n")
    raise typer.Exit(0 if well else 1)


def _sets(site: Site) -> dict[str, float]:
    """Seconds since each set of signatures was made."""
    found = ((name, Store(Path(site.site.state) / "signatures" / name).current()) for name in site.signatures)
    return {name: age(one, time.time()) for name, one in found if one is not None}


def _canary(health: Health) -> dict[str, object] | None:
    return {"at": health.canary.at, "well": health.canary.well, "text": health.canary.text} if health.canary else None


def _show(health: Health, sentence: str, *, well: bool) -> None:
    console = Console(highlight=False)
    colour = "green" if well else "red"
    console.print(f"[{colour}]●[/{colour}] {sentence}")
    if health.beat:
        console.print(
            f"  {health.beat.workers} scan workers, {health.beat.waiting} mails wait, {health.beat.overloaded} sent away for overload"
        )
    if health.canary:
        console.print(f"  canary of {moment(health.canary.at)}: {health.canary.text}", markup=False)
    console.print(f"  since {moment(health.started)}: {health.counts.get('mails', 0)} mails")
    for name, count in sorted(health.counts.items()):
        if name != "mails":
            console.print(f"    {count:>7}  {name.replace('.', ' ')}")
