"""`gatepost access`: open the firewall to its administrators for a time; the kernel closes it by itself.

Exit status: 0 done, 1 (status) nobody is admitted, 2 it could not be done.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, note, site_of
from gatepost.deploy.rooms import policy_of
from gatepost.firewall.admit import AdmitError, admit, admitted, shut
from gatepost.firewall.declare import DeclarationError
from gatepost.firewall.nft import NftError
from gatepost.services.messages import Note
from gatepost.site.base import parse_duration
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

LONGEST = 12 * 3600


@app.callback()
def access() -> None:
    """Administrators' way to the firewall itself, opened for a time.

    What is declared with on_request = true in [[firewall.admin]] is shut until somebody opens it, at the console or over a connection that is
    open already; the kernel shuts it again when the time is over, whatever becomes of this program.

    Example:

        gatepost access open 30m
    """


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (AdmitError, DeclarationError, NftError) as error:
        fail(str(error))


@app.command(name="open")
def open_for(
    time: Annotated[str, typer.Argument(metavar="TIME", help="For how long, like 30m; twelve hours at most.")], site: SiteOption = SITE
) -> None:
    """Open the firewall to its administrators for so long from now.

    Example:

        gatepost access open 30m
    """
    chosen = site_of(site)
    try:
        seconds = int(parse_duration(time))
    except ValueError as error:
        fail(str(error))
    if not 0 < seconds <= LONGEST:
        fail("choose a time between a second and twelve hours; what is needed for longer should be declared")
    with _told():
        admit(policy_of(chosen), seconds)
    _report(chosen, "firewall.opened", {"seconds": seconds})
    _show(as_json=False)


@app.command()
def close(site: SiteOption = SITE) -> None:
    """Shut it again now. Connections that are open go on; end them with ss -K or by logging out.

    Example:

        gatepost access close
    """
    chosen = site_of(site)
    with _told():
        shut(policy_of(chosen))
    _report(chosen, "firewall.shut", {})
    _show(as_json=False)


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Who may come in now, and for how long. Exit status 1 when nobody may.

    Example:

        gatepost access status
    """
    with _told():
        raise typer.Exit(0 if _show(as_json=as_json) else 1)


def _show(*, as_json: bool) -> bool:
    with _told():
        found = admitted()
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    else:
        lines = [f"{one.source} may come in for {one.seconds // 60} min {one.seconds % 60} s more" for one in found]
        sys.stdout.write("\n".join(lines or ["the firewall is shut to its administrators"]) + "\n")
    return bool(found)


def _report(site: Site, kind: str, data: dict[str, object]) -> None:
    who = os.environ.get("SUDO_USER") or os.environ.get("USER") or "root"
    note(site, Note(kind, "firewall", {**data, "by": who, "from": os.environ.get("SSH_CONNECTION", "console")}))
