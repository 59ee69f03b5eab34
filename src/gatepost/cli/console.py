"""`gatepost console`: serve the web console, and make the accounts of those who may use it."""

from __future__ import annotations

import secrets
import sys
import time
from typing import Annotated

import pyotp
import typer

from gatepost.cli.common import SITE, SiteOption, fail, journal_of, site_of
from gatepost.console.accounts import AccountError, Accounts
from gatepost.console.digest import digests
from gatepost.console.rights import Role
from gatepost.console.sessions import Link, Sessions
from gatepost.report.story import KINDS
from gatepost.services import consoled
from gatepost.services.consoled import ConsoleError
from gatepost.services.outbox import NotSentError, send
from gatepost.site.model import Site
from gatepost.system import logs

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
user = typer.Typer(no_args_is_help=True, help="Make, list and remove accounts.")
app.add_typer(user, name="user")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, dot, minus, underscore.")]
LOGIN_LINK = 900.0
"""Seconds for which a login link is good."""


@app.callback()
def console() -> None:
    """The web console: overview, messages, quarantine, reports.

    Example:

        gatepost console user add anna --role administrator
    """


@app.command()
def serve(site: SiteOption = SITE) -> None:
    """Serve the console where [console] listen of the site file says. Ends with SIGTERM or Ctrl-C.

    Example:

        gatepost console serve
    """
    declared = site_of(site)
    if not declared.console.listen:
        fail('no console is declared; write [console] and listen = "127.0.0.1:8080" into the site file')
    logs.to_stderr()
    try:
        consoled.run(declared)
    except ConsoleError as error:
        fail(str(error))


def _accounts(site: Site) -> Accounts:
    try:
        return Accounts(consoled.database(site), time.time)
    except ConsoleError as error:
        fail(str(error))


@app.command()
def digest(
    site: SiteOption = SITE,
    hours: Annotated[float, typer.Option(min=0.1, help="Tell of what was held in the last so many hours.")] = 24.0,
) -> None:
    """Mail each recipient what is held for them, with one-time links to release advertising.

    The console does it by itself, as often as [console.digest] of the site file says for each kind of finding.

    Example:

        gatepost console digest --hours 24
    """
    declared = site_of(site)
    sessions = Sessions(consoled.database(declared), time.time, declared.console.idle, declared.console.longest)
    now = time.time()
    mails = digests(declared, journal_of(declared), sessions, consoled.address(declared), now, dict.fromkeys(KINDS, now - hours * 3600))
    try:
        for envelope, content in mails:
            send(declared, envelope, content)
    except (NotSentError, OSError) as error:
        fail(f"a digest was not sent: {error}; those after it neither")
    sys.stdout.write(f"{len(mails)} digests were sent\n")


@user.command()
def add(
    name: Name,
    site: SiteOption = SITE,
    role: Annotated[Role, typer.Option(help="What this person may do.")] = Role.USER,
    address: Annotated[str, typer.Option(help="For a user: the mail address whose quarantine is theirs.")] = "",
) -> None:
    """Make an account; the password is asked for, or read from standard input.

    Example:

        gatepost console user add anna --role administrator
    """
    accounts = _accounts(site_of(site))
    try:
        accounts.add(name, role, _password(), address)
    except AccountError as error:
        fail(str(error))
    sys.stdout.write(f"{name} may log in as {role}\n")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True))


@user.command()
def password(name: Name, site: SiteOption = SITE) -> None:
    """Give somebody a new password; their sessions end.

    Example:

        gatepost console user password anna
    """
    try:
        _accounts(site_of(site)).set_password(name, _password())
    except AccountError as error:
        fail(str(error))
    sys.stdout.write(f"{name} has a new password, and is logged out everywhere\n")


@user.command()
def totp(name: Name, site: SiteOption = SITE) -> None:
    """Have logins ask for a one-time code too: shows the secret for an authenticator app, and asks for its first code.

    Example:

        gatepost console user totp anna
    """
    declared = site_of(site)
    accounts = _accounts(declared)
    if accounts.find(name) is None:
        fail(f"there is no user {name!r}")
    secret = pyotp.random_base32()
    sys.stdout.write(f"{pyotp.TOTP(secret, name=name, issuer=f'Gatepost {declared.site.name}').provisioning_uri()}\n")
    try:
        accounts.set_totp(name, secret, str(typer.prompt("Code that the app shows now")))
    except AccountError as error:
        fail(str(error))
    sys.stdout.write(f"from now on {name} needs a code to log in\n")


@user.command()
def remove(name: Name, site: SiteOption = SITE) -> None:
    """Remove an account and end its sessions.

    Example:

        gatepost console user remove anna
    """
    try:
        _accounts(site_of(site)).remove(name)
    except AccountError as error:
        fail(str(error))
    sys.stdout.write(f"{name} is removed\n")


@user.command("list")
def list_(site: SiteOption = SITE) -> None:
    """Who may log in.

    Example:

        gatepost console user list
    """
    for one in _accounts(site_of(site)).all():
        code = "with code" if one.has_totp else ""
        sys.stdout.write(f"{one.name:20} {one.role:20} {one.address:30} {code}".rstrip() + "\n")


@user.command()
def link(name: Name, site: SiteOption = SITE) -> None:
    """Print a link that logs somebody in once, within a quarter of an hour.

    Example:

        gatepost console user link anna
    """
    declared = site_of(site)
    if _accounts(declared).find(name) is None:
        fail(f"there is no user {name!r}")
    sys.stdout.write(login_link(declared, name) + "\n")


@user.command()
def token(
    name: Name, site: SiteOption = SITE, days: Annotated[int, typer.Option(min=1, max=400, help="For how long it is good.")] = 90
) -> None:
    """Print a token with which a program may ask the console's HTTP API what this user may ask.

    Example:

        gatepost console user token anna --days 30
    """
    declared = site_of(site)
    if _accounts(declared).find(name) is None:
        fail(f"there is no user {name!r}")
    sessions = Sessions(consoled.database(declared), time.time, declared.console.idle, declared.console.longest)
    sys.stdout.write(sessions.make_link(Link("api", name, ""), days * 86_400) + "\n")


def login_link(site: Site, name: str) -> str:
    """An address that logs in the user `name` once."""
    sessions = Sessions(consoled.database(site), time.time, site.console.idle, site.console.longest)
    return f"{consoled.address(site)}/link/{sessions.make_link(Link('login', name, ''), LOGIN_LINK)}"


def first_link(site: Site) -> str:
    """An address that logs in the user admin, an administrator, who is made with a password that nobody knows if there is none yet."""
    accounts = _accounts(site)
    if accounts.find("admin") is None:
        accounts.add("admin", Role.ADMINISTRATOR, secrets.token_urlsafe())
    return login_link(site, "admin")
