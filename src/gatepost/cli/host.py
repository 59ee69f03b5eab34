"""`gatepost host`: audit this host against its role.

Exit status: 0 nothing found, 1 findings, 2 could not look.
Raises: nothing; an error that the user can mend is one sentence on standard error and exit status 2.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gatepost.cli.audit_table import show_findings
from gatepost.integrity.audit.host import Host
from gatepost.integrity.audit.host import audit as run_audit
from gatepost.integrity.audit.roles import ROLES
from gatepost.site.integrity import Integrity
from gatepost.site.load import load
from gatepost.site.problem import SiteError

app = typer.Typer(add_completion=False, no_args_is_help=True)

BROKEN = 2
DEFAULT_SITE = Path("/etc/gatepost/site.toml")


@app.callback()
def host() -> None:
    """Audit this host against its role.

    Example:

        gatepost host audit --role relay
    """


@app.command()
def audit(
    site: Annotated[Path | None, typer.Option("--site", help=f"The site file; {DEFAULT_SITE} when it is there.")] = None,
    role: Annotated[str, typer.Option("--role", help=f"One of {', '.join(ROLES)}; the role of the site file when not given.")] = "",
    root: Annotated[Path, typer.Option("--root", help="The tree to look at; sockets and processes count only for /.")] = Path("/"),
    tracker: Annotated[
        Path | None,
        typer.Option("--tracker", help="Debian's security tracker data, a JSON file (security-tracker.debian.org/tracker/data/json)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Packages, sockets, setuid files, units, accounts, jobs, updates, end of life. Exit status 0: nothing found, 1: findings, 2: could not look."""
    try:
        section = _section(site)
        found = run_audit(Host(root, _known(role) or section.role, section.allowed, time.time(), root == Path("/"), _read(tracker)))
    except (SiteError, OSError, ValueError) as error:
        sys.stderr.write(f"gatepost host: {error}\n")
        raise typer.Exit(BROKEN) from None
    show_findings(f"audit of {root} as {role or section.role or 'server'}", found, as_json=as_json)
    raise typer.Exit(1 if found else 0)


def _known(role: str) -> str:
    if role and role not in ROLES:
        raise ValueError(f'there is no role "{role}"; known are {", ".join(ROLES)}')
    return role


def _section(site: Path | None) -> Integrity:
    return load(site or DEFAULT_SITE).integrity if site or DEFAULT_SITE.exists() else Integrity()


def _read(tracker: Path | None) -> dict[str, Any] | None:
    if tracker is None:
        return None
    data = json.loads(tracker.read_bytes())
    if not isinstance(data, dict):
        raise ValueError(f"{tracker} is not the data of Debian's security tracker")  # noqa: TRY004 - the user's file, not our type
    return data
