"""`gatepost backup`: everything of a site that must not be lost, in one file, while the gateway runs.

Not its job: what is in it (`gatepost.deploy.backup`), the encryption (`gatepost.system.age`).
Raises: nothing; exit status 0 done and proved, 2 it could not be done.
"""

from __future__ import annotations

import getpass
import io
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from gatepost.cli.common import SITE, SiteOption, fail, note, site_of
from gatepost.deploy import backup as room
from gatepost.deploy.backup import About, BackupError
from gatepost.deploy.doctor.events import BACKUP
from gatepost.journal.interface import JournalError
from gatepost.services.messages import Note
from gatepost.system import age
from gatepost.system.age import AgeError
from gatepost.system.files import sync_directory, write_atomic

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="The passphrase is the first line of this file; - asks for it."),
]


@app.command()
def backup(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where the backup goes; a file that is there is replaced when the new one is whole."),
    ] = None,
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", metavar="KEY", help="Encrypt for this key (age1...); may be given again.")
    ] = None,
    passphrase: PassphraseOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do not encrypt. The keys of the site are in the backup.")] = False,
    new_key: Annotated[
        Path | None,
        typer.Option("--new-key", metavar="FILE", help="Make a key pair instead: the secret half goes to FILE, the recipient is printed."),
    ] = None,
    site: SiteOption = SITE,
) -> None:
    """Copy site file, keys, journal, quarantine and all other state into one file, while the gateway runs, and read it back to prove it.

    The file has the format of age (age-encryption.org), and inside it of tar with a SHA256SUMS: both can be opened without Gatepost.
    gatepost restore puts it back.

    Example:

        gatepost backup --new-key /media/key/backup.key
        gatepost backup /srv/backup/gatepost.age --recipient age1...
    """
    if new_key is not None:
        _make_key(new_key)
        return
    if file is None:
        fail("say where the backup goes: gatepost backup FILE")
    if sum((bool(recipient), passphrase is not None, plain)) != 1:
        fail("choose one of --recipient, --passphrase-file and --plain: the keys that open kept mail are in the backup")
    words = _words(passphrase)
    chosen = site_of(site)
    try:
        with _whole(file) as raw:
            about, size = _write(
                raw, recipient or (), words, plain=plain, make=lambda target: room.write(chosen, site, target, time.time())
            )
            _prove(raw, words, plain=plain)
    except (BackupError, AgeError, JournalError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or file}: {error.strerror}")
    note(chosen, Note(BACKUP, "backup", {"file": str(file), "size": size, "events": about.events}))
    proved = "read back whole" if words or plain else "not read back, since that takes the secret key: gatepost restore --check"
    journal = "without the journal, which is in PostgreSQL (pg_dump)" if chosen.storage.url else f"{about.events} events of the journal"
    sys.stdout.write(f"{file}: {size:,} bytes, {journal}; {proved}\n")


def _make_key(path: Path) -> None:
    if path.exists():
        fail(f"{path} is there already; a key is never overwritten")
    identity, recipient = age.new_identity()
    try:
        write_atomic(path, f"# public key: {recipient}\n{identity}\n".encode())
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    sys.stdout.write(f"{recipient}\n")
    sys.stderr.write(f"gatepost: keep {path} away from this machine: with it every backup opens, without it none does\n")


def _words(file: Path | None) -> str:
    return "" if file is None else read_passphrase(file, twice=True)


def read_passphrase(file: Path, *, twice: bool = False) -> str:
    """The passphrase in the first line of a file, or asked for where the file is "-"."""
    try:
        text = getpass.getpass("Passphrase: ") if str(file) == "-" else file.read_text().partition("\n")[0]
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    if not text:
        fail(f"{file} holds no passphrase")
    if twice and str(file) == "-" and getpass.getpass("Once more: ") != text:
        fail("the two differ")
    return text


@contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """A file that gets its name only when all of it is on the disk; what a killed backup left is cleared away."""
    for left in file.parent.glob(f".{file.name}.*.part"):
        left.unlink()
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b") as raw:  # noqa: PTH123 the mode from the start
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(file)
        sync_directory(file.absolute().parent)
    finally:
        part.unlink(missing_ok=True)


def _write(raw: BinaryIO, recipients: Sequence[str], words: str, *, plain: bool, make: Callable[[BinaryIO], About]) -> tuple[About, int]:
    """Write the backup, encrypted unless `plain`; gives what it says of itself, and its size."""
    if plain:
        about = make(raw)
    else:
        with age.Writer(raw, recipients, words) as writer:
            about = make(cast("BinaryIO", writer))
    return about, raw.tell()


def _prove(raw: BinaryIO, words: str, *, plain: bool) -> None:
    """Read everything back, where we can."""
    raw.flush()
    raw.seek(0)
    if plain:
        room.check(raw)
    elif words:
        room.check(cast("BinaryIO", io.BufferedReader(age.Reader(raw, passphrase=words))))
