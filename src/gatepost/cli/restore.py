"""`gatepost restore`: a site back from its backup, on an empty host or over what is there.

Not its job: the restore itself (`gatepost.deploy.backup`), the encryption (`gatepost.system.age`).
Raises: nothing; exit status 0 done, 2 it could not be done and nothing was changed.
"""

from __future__ import annotations

import io
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from gatepost.cli.backup import PassphraseOption, read_passphrase
from gatepost.cli.common import SITE, SiteOption, fail, moment
from gatepost.deploy import backup as room
from gatepost.deploy.backup import BackupError
from gatepost.journal.interface import JournalError
from gatepost.site.load import load
from gatepost.site.problem import SiteError
from gatepost.system import age
from gatepost.system.age import AgeError
from gatepost.system.sockets import connected

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

SEEN = 64
"""Bytes by which a file is known."""


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    identity: Annotated[
        Path | None, typer.Option("--identity", metavar="FILE", help="The secret key of a recipient, AGE-SECRET-KEY-1...")
    ] = None,
    passphrase: PassphraseOption = None,
    check: Annotated[bool, typer.Option("--check", help="Only read the whole backup and prove it; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there; it is kept beside, with the time in its name.")] = False,
    site: SiteOption = SITE,
) -> None:
    """Put a backup in place: site file, the files that it names, and the whole state.

    Everything is unpacked beside, proved, and exchanged in one step: killed at any moment, the state is the old one or the new one, and
    running it again finishes. Nothing that is there and differs is touched without --force. The gateway must not run.

    Example:

        gatepost restore /srv/backup/gatepost.age --identity /media/key/backup.key
    """
    try:
        with file.open("rb") as raw, closing(_opened(raw, identity, passphrase)) as source:
            if check:
                _say(room.check(source), "is whole")
                return
            _demand_silence(site)
            done = room.restore(source, site, force=force, now=time.time())
    except (BackupError, AgeError, JournalError) as error:
        fail(f"nothing was restored: {error}")
    except OSError as error:
        fail(f"{error.filename or file}: {error.strerror}")
    _say(done.about, f"is restored to {site} and {done.about.state}")
    for kept in done.kept:
        sys.stdout.write(f"what was there before is kept as {kept}\n")
    sys.stdout.write("next: gatepost site check, gatepost doctor, then start the gateway\n")


def _say(about: room.About, what: str) -> None:
    sys.stdout.write(f"the backup of {about.site} of {moment(about.made)}, {about.events} events, by Gatepost {about.version}, {what}\n")


def _opened(raw: BinaryIO, identity: Path | None, passphrase: Path | None) -> BinaryIO:
    """The archive inside, whether it is encrypted or not."""
    encrypted = age.is_age(raw.read(SEEN))
    raw.seek(0)
    if not encrypted:
        return raw
    key = age.read_identity(identity.read_text()) if identity else None
    words = read_passphrase(passphrase) if passphrase else ""
    return cast("BinaryIO", io.BufferedReader(age.Reader(raw, key, words), 1 << 20))


def _demand_silence(path: Path) -> None:
    """End when the gateway of the site that is there runs: it would write on into what is put aside."""
    try:
        socket = Path(load(path).site.run) / "keeper.sock"
        connected(socket).close()
    except (SiteError, OSError):
        return
    fail(f"the gateway runs ({socket}); stop it first: systemctl stop gatepost.target")
