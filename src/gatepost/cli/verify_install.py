"""`gatepost verify-install`: is the installed program the one that was released.

Exit status: 0 every file is as it was released, 1 some are not, 2 it could not be compared.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gatepost.cli.common import JsonOption, fail
from gatepost.deploy.installed import InstalledError, verify

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def verify_install(
    key: Annotated[
        str, typer.Option("--key", help='The release key to believe ("ed25519 ..."), kept somewhere else than on this host.')
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Compare every installed file with the signed list of the package, and name each that is missing, changed or strange.

    Give the release key with --key: the one that is installed beside the files says only that nothing broke.

    Example:

        gatepost verify-install --key "ed25519 BASE64"
    """
    try:
        found = verify(Path(sys.prefix), key)
    except (InstalledError, OSError) as error:
        fail(str(error))
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")
    else:
        for line in found.wrong:
            sys.stdout.write(f"{line}\n")
        word = f"signed by {found.by}" if found.by else "unsigned: the records of the Python packages"
        sys.stdout.write(f"{found.files} files compared ({word}); {len(found.wrong) or 'none'} wrong\n")
    raise typer.Exit(1 if found.wrong else 0)
