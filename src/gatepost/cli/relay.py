"""`gatepost relay`: write, check, import and probe the MTA's configuration; make its DKIM key.

Exit status: 0 all well, 1 something is wrong with what was looked at, 2 could not look.
Raises: nothing; an error that the user can mend is one sentence on standard error.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from gatepost.cli.common import SITE, JsonOption, SiteOption, fail, printable, site_of
from gatepost.deploy import rooms
from gatepost.mail.decide.direction import LOCALHOST, Perimeter
from gatepost.relay import capability
from gatepost.relay.compile import Role, remarks
from gatepost.relay.dkim_key import DkimKeyError, make, public, record
from gatepost.relay.imported import read
from gatepost.relay.intent import RelayError, hostname
from gatepost.relay.opendkim import PROGRAM as OPENDKIM
from gatepost.relay.probe import Outcome, ProbeError, run
from gatepost.relay.probes import probes
from gatepost.relay.proposal import toml
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from gatepost.system.artifact import Artifact
from gatepost.system.files import make_directory, write_atomic
from gatepost.system.files import read as read_file
from gatepost.system.staging import check as staged_check
from gatepost.system.staging import stage

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Write, check, import and probe the MTA; make its DKIM key.",
)

MtaOption = Annotated[Literal["postfix", "sendmail"] | None, typer.Option("--mta", help="In place of the site's relay.mta.")]
RoleOption = Annotated[Role, typer.Option("--role", help="What this host is: the firewall only sends, through the relay.")]


@app.command("compile")
def compile_(
    site: SiteOption = SITE,
    mta: MtaOption = None,
    role: RoleOption = "relay",
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the files here; without it they are printed.")] = None,
) -> None:
    """Write the complete configuration of the MTA, each line with its reason. Nothing on this machine is changed: see gatepost plan.

    Example:

        gatepost relay compile --site examples/widget/site.toml --mta sendmail --output /tmp/mail
    """
    chosen = site_of(site)
    for one in _compiled(chosen, role, mta):
        if output is None:
            sys.stdout.write(f"### {one.path}\n\n{one.content.decode()}\n")
            continue
        target = output / one.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(one.content)
        sys.stdout.write(f"{target}\n")
    for remark in remarks(chosen, mta) if role == "relay" else ():
        sys.stderr.write(f"gatepost: {remark}\n")


def _compiled(site: Site, role: Role, mta: Literal["postfix", "sendmail"] | None) -> tuple[Artifact, ...]:
    chosen = site if mta is None else site.model_copy(update={"relay": site.relay.model_copy(update={"mta": mta})})
    try:
        return rooms.relay(chosen, role)
    except RelayError as error:
        fail(str(error))


@app.command()
def check(site: SiteOption = SITE, mta: MtaOption = None, role: RoleOption = "relay") -> None:
    """Let the MTA itself read what would be written, and see that it can do what is asked of it: milter, TLS, DSN.

    Example:

        gatepost relay check --site examples/widget/site.toml
    """
    chosen = site_of(site)
    kind = "postfix" if role == "firewall" else mta or chosen.relay.mta
    wrong = _lacks(kind) + (_unsigned(chosen) if role == "relay" else []) + _refused(_compiled(chosen, role, mta))
    for sentence in wrong:
        sys.stdout.write(f"{sentence}\n")
    if not wrong:
        sys.stdout.write(f"ok: {kind} takes the configuration and can do what it asks\n")
    raise typer.Exit(1 if wrong else 0)


def _lacks(kind: str) -> list[str]:
    if kind == "postfix":
        return capability.postfix_lacks({name: _said(question) for name, question in capability.POSTFIX_QUESTIONS.items()})
    return capability.sendmail_lacks(_said(capability.SENDMAIL_QUESTION))


def _unsigned(site: Site) -> list[str]:
    """What would keep mail of our own waiting for its signature."""
    dkim = site.relay.dkim
    if dkim.selector is None:
        return []
    wrong = [] if Path(OPENDKIM).exists() else ["OpenDKIM, which relay.dkim asks for, is not installed; install Debian's package opendkim"]
    if not Path(dkim.path()).exists():
        wrong.append(f"{dkim.path()} is missing, so nothing would be signed and our own mail would wait; run gatepost relay dkim-key")
    return wrong


def _said(command: tuple[str, ...]) -> str:
    """Both streams of a program, "" when it is not here or hangs."""
    try:
        done = subprocess.run(command, input="", capture_output=True, text=True, errors="replace", timeout=90, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _refused(artifacts: tuple[Artifact, ...]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="gatepost-") as folder:
        stage(artifacts, Path(folder))
        activations = dict.fromkeys(one.activation for one in artifacts if one.activation)
        return [said.replace(folder, "") for activation in activations for said in staged_check(activation, Path(folder))]


@app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="main.cf, sendmail.mc, relay-domains, access, aliases, hosts, amavisd.conf.")
    ],
) -> None:
    """Read old mail configurations: a proposal for the site file on standard output, dangers and what was not understood on standard error.

    Example:

        gatepost relay import /etc/postfix/main.cf /etc/aliases > proposal.toml
    """
    try:
        readings = [read(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in files]
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    sys.stdout.write(toml(proposal for reading in readings for proposal in reading.proposals))
    remarks = [remark for reading in readings for remark in reading.remarks]
    for remark in remarks:
        sys.stderr.write(f"{remark}\n\n")
    raise typer.Exit(1 if remarks else 0)


@app.command()
def probe(
    target: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The relay.")],
    zone: Annotated[str, typer.Option("--from-zone", metavar="ZONE", help="The zone of the site that this host stands in.")],
    site: SiteOption = SITE,
    source: Annotated[str, typer.Option("--source", metavar="ADDRESS", help="The address of this host to probe from.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Twenty classic ways to misuse a relay, none of which sends a mail. From outside all must be refused; a zone that may relay must pass.

    Example:

        gatepost relay probe 203.0.113.25:25 --from-zone internet
    """
    chosen = site_of(site)
    endpoint = parse_endpoint(target, 25)
    address = socket.gethostbyname(endpoint.host) if ":" not in endpoint.host else f"IPv6:{endpoint.host}"
    _must_stand_in(chosen, zone, source or _source(endpoint.host, endpoint.port))
    may_relay = zone in chosen.mail.relay_from or zone == LOCALHOST
    wanted = probes(chosen.mail.domains[0], hostname(chosen), address)
    try:
        outcomes = run(endpoint.host, endpoint.port, wanted[:1] if may_relay else wanted, source)
    except ProbeError as error:
        fail(str(error))
    wrong = [one for one in outcomes if not (one.taken if may_relay else one.refused)]
    _show(outcomes, may_relay=may_relay, as_json=as_json)
    raise typer.Exit(1 if wrong else 0)


def _source(host: str, port: int) -> str:
    """The address that this host would use."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((host, port))
            return str(sock.getsockname()[0])
    except OSError as error:
        fail(f"there is no way to {host}: {error.strerror}")


def _must_stand_in(site: Site, zone: str, address: str) -> None:
    here = Perimeter.of(site).zone(address)
    if here != zone:
        fail(
            f"{address} is in zone {here or 'nothing that the site knows'}, not {zone}: the answers would say nothing of {zone}; probe from there"
        )


def _show(outcomes: list[Outcome], *, may_relay: bool, as_json: bool) -> None:
    rows = [(one, one.taken if may_relay else one.refused) for one in outcomes]
    if as_json:
        values = [{"probe": one.probe.name, "ok": ok, "code": one.code, "text": one.text} for one, ok in rows]
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    for one, ok in rows:
        console.print(
            Text.assemble(("ok  ", "green") if ok else ("FAIL", "bold red"), f"  {one.probe.name:24} {one.code} {printable(one.text)}")
        )
        if not (one.taken or one.refused):
            console.print(f"        the relay put this off, which proves nothing; does the scanner behind it run? ({one.probe.trick})")
    console.print(f"{sum(ok for _, ok in rows)} of {len(rows)} {'passed, as the site says' if may_relay else 'refused'}")


@app.command("dkim-key")
def dkim_key(
    site: SiteOption = SITE,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the private key lies; relay.dkim.key of the site by default.")
    ] = None,
) -> None:
    """Make the key that signs our mail, unless it is there, and print the DNS record of each domain. A key is never overwritten.

    Example:

        gatepost relay dkim-key --site examples/widget/site.toml --output /tmp/widget.private
    """
    declared = site_of(site)
    dkim = declared.relay.dkim
    if dkim.selector is None:
        fail('the site signs nothing; write selector = "mail1" (any name, a new one for each new key) in a section [relay.dkim]')
    path = output or Path(dkim.path())
    try:
        private = _kept_key(path)
        value = public(private)
    except DkimKeyError as error:
        fail(f"{path}: {error}")
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror}")
    for domain in declared.mail.domains:
        sys.stdout.write(f"{record(dkim.selector, domain, value)}\n")


def _kept_key(path: Path) -> bytes:
    """The private key at `path`, made when there is none; it belongs to OpenDKIM's user where that is known."""
    if not path.exists():
        make_directory(path.parent)
        owner = _opendkim() if os.geteuid() == 0 else None
        write_atomic(path, make(), owner=owner)
        sys.stderr.write(f"gatepost: made {path}; publish the record below before you sign with it, and keep a copy in the backup\n")
    return read_file(path)


def _opendkim() -> tuple[int, int] | None:
    try:
        found = pwd.getpwnam("opendkim")
    except KeyError:
        return None
    return found.pw_uid, found.pw_gid
