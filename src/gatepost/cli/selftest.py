"""`gatepost selftest`: everything that the doctor looks at, and mail of our own through the running gateway.

Not its job: the checks (`gatepost.deploy.doctor`, `gatepost.services.selftest`).
Raises: nothing; exit status 0 all well, 1 warnings, 2 something keeps mail from being scanned or delivered.
"""

from __future__ import annotations

from pathlib import Path

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption, note
from gatepost.cli.doctor import diagnoses, show
from gatepost.deploy.doctor.check import Diagnosis, Severity, status
from gatepost.services.messages import Note
from gatepost.services.selftest import FAULTS, LIVE, PASSED
from gatepost.site.load import load
from gatepost.site.problem import SiteError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

TOLD = 5
"""So many faults are named in the journal and in the alert."""


@app.command()
def selftest(site: SiteOption = SITE, json_output: JsonOption = False) -> None:
    """Try everything on this machine: all checks of the doctor, then the EICAR test file through the running gateway, in and out.

    Exit status 0 all well, 1 warnings, 2 something keeps mail from being scanned or delivered. An error goes to the journal and to the
    administrator. Run it after boot and every hour; nothing that it sends is ever delivered.

    Example:

        gatepost selftest
    """
    found = show(diagnoses(site, LIVE), json_output=json_output)
    _tell(site, [one for one in found if one.severity is Severity.ERROR], len(found))
    raise typer.Exit(status(found))


def _tell(path: Path, errors: list[Diagnosis], count: int) -> None:
    """Have it written down; without a site that can be read, or a gateway that runs, nobody could."""
    try:
        site = load(path)
    except SiteError:
        return
    text = "; ".join(f"{one.check}: {one.seen}" for one in errors[:TOLD])
    note(site, Note(FAULTS if errors else PASSED, "selftest", {"text": text, "errors": len(errors), "checks": count}))
