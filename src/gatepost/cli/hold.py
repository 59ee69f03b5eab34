"""`gatepost hold`: keep a person's mail for a case of law, after two people signed for it; each step is in the journal."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gatepost.cli.common import SITE, SiteOption, ask_keeper, fail, journal_of, moment, printable, site_of
from gatepost.integrity.sign import KeyFileError, load_key
from gatepost.journal.event import new_id
from gatepost.journal.interface import JournalError
from gatepost.services import holds
from gatepost.services.holds import Hold, HoldError, Standing
from gatepost.services.messages import Note
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Argument(metavar="HOLD", help="The id of the hold.")]


@app.callback()
def hold_app() -> None:
    """Keep a person's mail for a case of law: two approvals, one address, an end, everything on record. Off unless the site names approvers.

    Example:

        gatepost hold ask bob@widget.example --from 2026-11-01 --until 2026-12-01 --days 30 --why "court order 12/2026"
    """


def _caller() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _day(text: str) -> float:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").astimezone().timestamp()
    except ValueError:
        fail(f"{text!r} is no date; write it like 2026-12-31")


def _write(site: Site, kind: str, name: str, data: dict[str, Any]) -> None:
    """Put a step into the journal before anything else happens; without a keeper nothing does."""
    ask_keeper(site, Note(kind, name, data))


def _one(site: Site, name: str) -> Standing:
    try:
        return holds.one_hold(site.hold, journal_of(site), name, time.time())
    except (HoldError, JournalError) as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    fail(str(error))


@app.command()
def ask(
    address: Annotated[str, typer.Argument(help="Whose mail: one whole address.")],
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="Mail from this day on.")],
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="Mail before this day.")],
    why: Annotated[str, typer.Option(help="Why; it stands in the journal for ever.")],
    days: Annotated[float, typer.Option(min=0, help="After so many days the hold ends by itself.")] = 30,
    site: SiteOption = SITE,
) -> None:
    """Ask for a hold. Nothing happens until two approvers have signed.

    Example:

        gatepost hold ask bob@widget.example --from 2026-11-01 --until 2026-12-01 --days 30 --why "court order 12/2026"
    """
    declared, now = site_of(site), time.time()
    name = new_id(now, secrets.randbits(25))
    wanted = Hold(name, address.lower(), _day(since), _day(until), now + days * 86_400, why, _caller())
    try:
        data = holds.asked(declared.hold, wanted, now)
    except HoldError as error:
        _fail(error)
    _write(declared, holds.ASKED, name, data)
    print(f"{holds.words(wanted)}\nIt waits for two approvals: gatepost hold approve {name} --key KEYFILE")


@app.command()
def approve(
    name: Name,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Your private key; GATEPOST_PASSPHRASE unlocks it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    site: SiteOption = SITE,
) -> None:
    """Sign a hold as one of its approvers.

    Example:

        gatepost hold approve 1A2B3C4D5E6F7G --key /media/stick/director.key
    """
    declared = site_of(site)
    found = _one(declared, name)
    print(holds.words(found.hold))
    if found.state not in {"waiting", "active"}:
        fail(f"this hold is {found.state}")
    if not yes and input("Approve? Type yes: ").strip() != "yes":
        fail("not approved; nothing was written")
    try:
        data = holds.approval(declared.hold, found.hold, load_key(key, os.environ.get("GATEPOST_PASSPHRASE", "").encode()))
    except (HoldError, KeyFileError) as error:
        _fail(error)
    _write(declared, holds.APPROVED, name, data)
    print(f"approved by {data['who']}; the hold is {_one(declared, name).state}")


@app.command()
def collect(name: Name, site: SiteOption = SITE) -> None:
    """Copy what is kept of the mail in scope, encrypted to both approvers. Only for a hold that two approved and that has not ended.

    Example:

        gatepost hold collect 1A2B3C4D5E6F7G
    """
    declared = site_of(site)
    try:
        data = holds.collect(declared, journal_of(declared), name, time.time())
    except (HoldError, JournalError) as error:
        _fail(error)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    _write(declared, holds.COLLECTED, name, data)
    print(f"{len(data['digests'])} mails, encrypted, in {data['folder']}")


@app.command()
def end(name: Name, why: Annotated[str, typer.Option(help="Why it ends.")] = "", site: SiteOption = SITE) -> None:
    """End a hold before its time.

    Example:

        gatepost hold end 1A2B3C4D5E6F7G --why "the case is closed"
    """
    declared = site_of(site)
    _one(declared, name)
    _write(declared, holds.ENDED, name, {"by": _caller(), "why": why})
    print(f"hold {name} has ended")


@app.command("list")
def list_(site: SiteOption = SITE) -> None:
    """List all holds, newest first.

    Example:

        gatepost hold list
    """
    declared = site_of(site)
    try:
        for one in holds.holds(declared.hold, journal_of(declared), time.time()):
            print(f"{one.state}, approved by {', '.join(one.approved) or 'nobody'}, {one.kept} mails kept\n  {printable_words(one.hold)}")
    except (HoldError, JournalError) as error:
        _fail(error)


def printable_words(hold: Hold) -> str:
    """The words of a hold, line by line, as a terminal may show them."""
    return "\n  ".join(printable(line) for line in holds.words(hold).splitlines())


@app.command()
def audit(name: Name, site: SiteOption = SITE) -> None:
    """Show every step of a hold, after the journal's chain was checked.

    Example:

        gatepost hold audit 1A2B3C4D5E6F7G
    """
    declared = site_of(site)
    try:
        steps = holds.audit(journal_of(declared), name)
        found = _one(declared, name)
    except JournalError as error:
        fail(f"the journal cannot be trusted: {error}")
    print(printable_words(found.hold))
    for event in steps:
        signed = " (signature verified)" if event.kind == holds.APPROVED and event.data["who"] in found.approved else ""
        who = event.data.get("who") or event.data.get("by") or f"{len(event.data.get('digests', ()))} mails"
        print(f"  {moment(event.at)}  {event.kind.removeprefix('hold.')}: {printable(str(who))}{signed}")


@app.command("open")
def open_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A mail that gatepost hold collect encrypted.")],
    identity: Annotated[list[Path], typer.Option("--identity", metavar="FILE", help="The identity files of both approvers.")],
) -> None:
    """Decrypt one mail; both approvers' identities are needed. Works anywhere, without the site.

    Example:

        gatepost hold open mail.eml.age --identity director.age --identity council.age > mail.eml
    """
    try:
        secret = [_identity(path) for path in identity]
        sys.stdout.buffer.write(holds.opened(file.read_bytes(), secret))
    except HoldError as error:
        _fail(error)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _identity(path: Path) -> str:
    lines = path.read_text("ascii").splitlines()
    return next((line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")), "")


@app.command("identity")
def identity_command(
    file: Annotated[Path, typer.Argument(help="Where the private identity goes: best a stick that its owner keeps.")],
) -> None:
    """Make the pair of keys to which an approver's mails are encrypted, as age-keygen does.

    Example:

        gatepost hold identity /media/stick/director.age
    """
    try:
        private, public = holds.new_identity()
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as target:
            target.write(f"# public key: {public}\n{private}\n")
    except HoldError as error:
        _fail(error)
    except OSError as error:
        fail(f"{file}: {error.strerror}; an identity is never overwritten")
    print(f'private: {file}\nfor the site file:  [hold.approvers.NAME]  age = "{public}"')
