"""`gatepost host`: audit this host against its role.

Exit status: 0 nothing found, 1 findings, 2 could not look.
Raises: nothing; an error that the user can mend is one sentence on standard error and exit status 2.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from gatepost.cli.audit_table import show_findings
from gatepost.integrity.audit.finding import AuditFinding, Severity, ordered
from gatepost.integrity.audit.host import Host
from gatepost.integrity.audit.host import audit as run_audit
from gatepost.integrity.audit.roles import ROLES
from gatepost.site.diversity import REMEDY, shared
from gatepost.site.integrity import Integrity
from gatepost.site.load import load
from gatepost.site.model import Site
from gatepost.site.problem import SiteError

app = typer.Typer(add_completion=False, no_args_is_help=True)

BROKEN = 2
TRACKER = "https://security-tracker.debian.org/tracker/data/json"
FETCH_SECONDS = 60.0
FETCH_BYTES = 500_000_000
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
        str, typer.Option("--tracker", help=f"Debian's security tracker: a JSON file or an address, such as {TRACKER}.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Packages, sockets, setuid files, units, accounts, jobs, updates, end of life. Exit status 0: nothing found, 1: findings, 2: could not look."""
    try:
        declared = load(site or DEFAULT_SITE) if site or DEFAULT_SITE.exists() else None
        section = declared.integrity if declared else Integrity()
        known, note = _tracker(tracker)
        found = run_audit(Host(root, _known(role) or section.role, section.allowed, time.time(), root == Path("/"), known))
        found = ordered([*found, *_alike(declared)])
    except (SiteError, OSError, ValueError) as error:
        sys.stderr.write(f"gatepost host: {error}\n")
        raise typer.Exit(BROKEN) from None
    show_findings(f"audit of {root} as {role or section.role or 'server'}", found, as_json=as_json)
    sys.stderr.write(f"\nnote: {note}\n" if note else "")
    raise typer.Exit(1 if found else 0)


def _known(role: str) -> str:
    if role and role not in ROLES:
        raise ValueError(f'there is no role "{role}"; known are {", ".join(ROLES)}')
    return role


def _alike(site: Site | None) -> Iterator[AuditFinding]:
    """What the site file says of layers that run the same software."""
    for one in shared(site) if site else ():
        yield AuditFinding("diversity", one.software, Severity.MEDIUM, str(one), f"{REMEDY}; gatepost why same-mta")


def _tracker(place: str) -> tuple[dict[str, Any] | None, str]:
    """The data of the security tracker in a file or at an address, and what is not known without them."""
    unknown = "holes that have no update yet are not known"
    if not place:
        return (
            None,
            f"{unknown}: Debian's security tracker was not asked (--tracker {TRACKER}); security updates that wait are listed all the same",
        )
    try:
        data = json.loads(_fetched(place) if place.startswith(("https://", "http://")) else Path(place).read_bytes())
    except urllib.error.URLError as error:
        return None, f"{unknown}: {place} cannot be reached ({error.reason}); security updates that wait are listed all the same"
    if not isinstance(data, dict):
        raise ValueError(f"{place} is not the data of Debian's security tracker")  # noqa: TRY004 - the user's file, not our type
    return data, ""


def _fetched(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - the administrator's own words, http(s) only
        return bytes(answer.read(FETCH_BYTES))
