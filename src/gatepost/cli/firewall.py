"""`gatepost firewall`: compile, prove, explain, apply.

Not its job: any judgement; each command reads its arguments, makes one call and prints.
Raises: nothing; an error that the user can mend is told on standard error, exit status 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from gatepost.firewall import nft, telling
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declared import read_policy
from gatepost.firewall.nft_reader import ReadError
from gatepost.firewall.prove import prove
from gatepost.firewall.reading import read_ruleset
from gatepost.site.problem import SiteError

app = typer.Typer(add_completion=False, rich_markup_mode="rich", no_args_is_help=True)

SiteFile = Annotated[Path, typer.Option("--site", metavar="FILE", help="The site file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Plain data for programs.")]
P = ParamSpec("P")
HERE = Path("site.toml")
UNUSABLE = 2
"""Exit status when the question could not be answered."""


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the errors that a user can mend into a message and exit status 2."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (SiteError, nft.NftError, ReadError, OSError) as error:
            sys.stderr.write(f"gatepost firewall: {error}\n")
            raise typer.Exit(UNUSABLE) from None

    return wrapped


def out(text: str, data: Any, *, as_json: bool) -> None:
    """Print a text, or its data as JSON."""
    sys.stdout.write((json.dumps(data, indent=2) if as_json else text.rstrip()) + "\n")


@app.command("compile")
@told
def compile_command(site: SiteFile = HERE, as_json: AsJson = False) -> None:
    """Write the rules that the site file means, for `nft -f`, after nft has checked them. Nothing is loaded."""
    text = reload_text(compile_policy(read_policy(site)), ())
    nft.check(text)
    out(text, {"nft": text}, as_json=as_json)


@app.command("prove")
@told
def prove_command(
    site: SiteFile = HERE,
    live: Annotated[bool, typer.Option(help="Judge what this host has loaded.")] = False,
    listing: Annotated[Path | None, typer.Option(metavar="FILE", help="Judge this output of nft -j list ruleset or iptables-save.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show that the rules pass exactly what the site declares, or give a packet for which they do not.

    Without --live or --listing the rules of the site are loaded into an empty network of their own, listed and judged.

    Exit status: 0 proved, 1 different (with a packet), 2 refused (with what was not understood).
    """
    policy = read_policy(site)
    if listing:
        ruleset = read_ruleset(listing.read_text(encoding="utf-8"))
    else:
        ruleset = read_ruleset(nft.listing() if live else nft.rehearse(reload_text(compile_policy(policy), ())))
    proof = prove(policy, ruleset)
    out(telling.proof_text(proof), telling.proof_data(proof), as_json=as_json)
    raise typer.Exit(int(proof.outcome))
