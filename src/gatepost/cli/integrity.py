"""`gatepost integrity`: what changed that nobody meant to change.

Each command parses its arguments and makes one call. Exit status: 0 all well, 1 findings, 2 could not check.
Raises: nothing; an error that the user can mend is one sentence on standard error and exit status 2.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import json
import os
import platform
import signal
import smtplib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gatepost.cli.audit_table import show_findings
from gatepost.cli.integrity_events import DEFAULT_SITE, journal_of, keeping, said, told_problems
from gatepost.integrity import accept as accepting
from gatepost.integrity import baseline as baselines
from gatepost.integrity import html, notify, sign, text
from gatepost.integrity import report as reports
from gatepost.integrity.accept import AcceptError, Choice
from gatepost.integrity.aide import import_aide
from gatepost.integrity.audit.host import Host
from gatepost.integrity.audit.host import offboard as find_leftovers
from gatepost.integrity.baseline import Watched
from gatepost.integrity.chain import ChainError
from gatepost.integrity.changes import ChangesError
from gatepost.integrity.check import CheckError, Options
from gatepost.integrity.check import check as run_check
from gatepost.integrity.compile import PolicyError
from gatepost.integrity.entry import path_of, shown
from gatepost.integrity.imported import as_toml
from gatepost.integrity.scan import ScanError, Tally
from gatepost.integrity.sign import KeyFileError, Signer
from gatepost.integrity.state import State, StateError
from gatepost.integrity.store import Baseline, BaselineError
from gatepost.integrity.tripwire import import_tripwire
from gatepost.integrity.watch import Watch
from gatepost.site.integrity import Integrity
from gatepost.site.load import load
from gatepost.site.problem import SiteError

app = typer.Typer(add_completion=False, rich_markup_mode="rich", no_args_is_help=True)

BROKEN = 2
DEFAULT_STATE = Path("/var/lib/gatepost")

SiteFile = Annotated[Path | None, typer.Option("--site", help=f"The site file; {DEFAULT_SITE} when it is there, else a default policy.")]
Root = Annotated[Path, typer.Option("--root", help="The tree to look at, such as the mounted disk of another host.")]
StateFolder = Annotated[Path | None, typer.Option("--state", help="Where to remember; the site's state folder when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Who = Annotated[str, typer.Option("--who", help="Who does this; the user who called sudo when not given.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it stands in the ledger and in the next report.")]
Key = Annotated[Path | None, typer.Option("--key", help="The private key to sign with; the key of this host when not given.")]

_EXPECTED = (
    AcceptError,
    BaselineError,
    ChainError,
    ChangesError,
    CheckError,
    KeyFileError,
    OSError,
    PolicyError,
    ScanError,
    SiteError,
    StateError,
)

Command = TypeVar("Command", bound=Callable[..., Any])


def _told(command: Command) -> Command:
    """An error that the user can mend is told in plain words and ends with 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except _EXPECTED as error:
            sys.stderr.write(f"gatepost integrity: {error}\n")
            raise typer.Exit(BROKEN) from None

    return run  # type: ignore[return-value]


def watched_host(site_file: Path | None, root: Path, state_folder: Path | None) -> Watched:
    """The host as the site file declares it, or with a default policy. Raises SiteError."""
    if site_file is None and not DEFAULT_SITE.exists():
        section, folder = Integrity(), DEFAULT_STATE
    else:
        site = load(site_file or DEFAULT_SITE)
        section, folder = site.integrity, Path(site.site.state)
    state = State((state_folder or folder) / "integrity", section.signer, section.strict)
    return Watched(section, state, root)


def _caller() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _signer(watched: Watched, key: Path | None) -> Signer:
    if key is None:
        return watched.state.host_key()
    return sign.load_key(key, os.environ.get("GATEPOST_PASSPHRASE", "").encode())


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[Tally], None]]:
    """A progress bar on a terminal, silence elsewhere. `total` 0: nobody knows how many objects there are."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} objects"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking", total=total or None)
        yield lambda tally: bar.update(task, completed=tally.entries)


@app.callback()
def integrity() -> None:
    """What changed that nobody meant to change.

    Examples:

        gatepost integrity init

        gatepost integrity check
    """


@app.command()
@_told
def init(
    site: SiteFile = None,
    root: Root = Path("/"),
    state: StateFolder = None,
    key: Key = None,
    who: Who = "",
    why: Why = "first baseline",
    as_json: AsJson = False,
) -> None:
    """Describe the host as it is now, and sign that: the baseline of all later checks."""
    watched = watched_host(site, root, state)
    watched.state.prepare()
    signer = None if watched.section.signer and key is None else _signer(watched, key)
    begun = time.monotonic()
    with _progress(0) as bar:
        made = baselines.make_baseline(watched, who or _caller(), why, signer, bar)
    if as_json:
        print(
            json.dumps(
                {
                    "baseline": made.digest,
                    "in_force": made.in_force,
                    "entries": made.tally.entries,
                    "missing": [shown(path_of(m)) for m in made.missing],
                }
            )
        )
        return
    print(
        f"baseline {made.digest[:12]} of {watched.host}: {made.tally.entries:,} objects, {made.tally.bytes / 1e6:,.0f} MB read in {time.monotonic() - begun:.0f} s"
    )
    for key_bytes in made.missing:
        print(f"  remark: {shown(path_of(key_bytes))} is in the policy but does not exist; it becomes a finding when it appears")
    if made.in_force:
        print(f"  signed with key {signer.public.id if signer else ''}, in force. Next: gatepost integrity check")
    else:
        print(f"  it waits for its signature in {watched.state.pending}: gatepost integrity seal --key KEYFILE")


@app.command()
@_told
def check(
    site: SiteFile = None,
    root: Root = Path("/"),
    state: StateFolder = None,
    full: Annotated[bool, typer.Option("--full", help="Read all content, whatever the metadata say.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Metadata first, even if a full check is due.")] = False,
    nonce: Annotated[str, typer.Option("--nonce", help="The value for the canary, chosen by another host.")] = "",
    mail: Annotated[bool, typer.Option("--mail", help="Send the report, all well or not, to the addresses of the site file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the host with its baseline. Exit status 0: all well, 1: findings, 2: could not check."""
    watched = watched_host(site, root, state)
    with _progress(_known_entries(watched)) as bar:
        report = run_check(watched, Options(True if full else False if quick else None, nonce), bar)
    _show(report, as_json)
    notify.events(report, journal_of(site))
    if mail:
        _send(watched, report)
    raise typer.Exit(report.status.exit_status)


@app.command()
@_told
def accept(
    items: Annotated[list[int] | None, typer.Argument(help="Numbers of findings, as the report lists them.")] = None,
    path: Annotated[list[str] | None, typer.Option("--path", help="All findings at or below this path.")] = None,
    package: Annotated[list[str] | None, typer.Option("--package", help="All findings in files of this package.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All findings.")] = False,
    why: Why = "",
    who: Who = "",
    site: SiteFile = None,
    root: Root = Path("/"),
    state: StateFolder = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Accept findings of the last report, exactly as they were shown there."""
    watched = watched_host(site, root, state)
    choice = Choice(frozenset(items or ()), tuple(path or ()), tuple(package or ()), everything)
    chosen = accepting.accept(watched.state, root, choice, who or _caller(), why, _signer(watched, key), time.time())
    if as_json:
        print(json.dumps([{"path": shown(path_of(c.key)), "kind": c.kind.value} for c in chosen]))
    else:
        print(f"accepted {len(chosen)}: {why}")
        for change in chosen[:20]:
            print(f"  {change.kind.value:9} {shown(path_of(change.key))}")
        if len(chosen) > 20:  # noqa: PLR2004 - a screenful
            print(f"  ... and {len(chosen) - 20} more")


@app.command()
@_told
def report(
    number: Annotated[int, typer.Argument(help="Which report; the newest when not given.")] = 0,
    site: SiteFile = None,
    root: Root = Path("/"),
    state: StateFolder = None,
    as_html: Annotated[bool, typer.Option("--html", help="Write a page for the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a report again; exit status as that of its check."""
    watched = watched_host(site, root, state)
    path = watched.state.report_path(number) if number else watched.state.last_report()
    if path is None:
        raise AcceptError("there is no report yet; run `gatepost integrity check` first")
    found = reports.opened_report(path.read_bytes(), (watched.state.host_key().public,), path.name)[0]
    if as_html:
        sys.stdout.write(html.rendered(found))
    else:
        _show(found, as_json)
    raise typer.Exit(found.status.exit_status)


@app.command("verify-report")
@_told
def verify_report(
    file: Annotated[Path, typer.Argument(help="A report file, or a folder of reports for the newest; its neighbours are looked at too.")],
    key: Annotated[str, typer.Option("--key", help='The public key of the host: "ed25519 ..." or a file that holds it.')] = "",
    nonce: Annotated[str, typer.Option("--nonce", help="The canary value that you asked for.")] = "",
    max_hours: Annotated[float, typer.Option("--max-hours", help="Alarm when the report is older.")] = 0,
    site: SiteFile = None,
    state: StateFolder = None,
    as_json: AsJson = False,
) -> None:
    """Check a report away from its host: signature, chain, canary, age. Exit status 0: genuine, 2: forged or broken."""
    if key:
        line = Path(key).read_text("ascii") if Path(key).exists() else key
        trusted = (sign.public_key(line),)
    else:
        trusted = (watched_host(site, Path("/"), state).state.host_key().public,)
    with told_problems(journal_of(site), str(file)) as problems:
        file = _newest(file)
        found = reports.verify(file, trusted, nonce=nonce, now=time.time(), max_hours=max_hours)
        problems.extend(found.problems)
    if as_json:
        print(
            json.dumps(
                {"genuine": not found.problems, "problems": found.problems, "digest": found.digest, "status": found.report.status.value}
            )
        )
    elif found.problems:
        print(f"FORGED OR BROKEN: {file}")
        for problem in found.problems:
            print(f"  {problem}")
    else:
        print(f"genuine: {file}, report {found.report.sequence} of {found.report.host}, {text.moment(found.report.finished)}")
        print(f"  result    {text.headline(found.report)}")
        print(f"  digest    {found.digest}")
    raise typer.Exit(BROKEN if found.problems else 0)


@app.command()
@_told
def seal(
    key: Key = None,
    who: Who = "",
    why: Why = "baseline",
    site: SiteFile = None,
    root: Root = Path("/"),
    state: StateFolder = None,
    as_json: AsJson = False,
) -> None:
    """Sign a baseline that waits for a key kept elsewhere, and put it in force."""
    watched = watched_host(site, root, state)
    digest = baselines.seal_pending(watched.state, _signer(watched, key), who or _caller(), why)
    print(json.dumps({"baseline": digest, "in_force": True}) if as_json else f"baseline {digest[:12]} is signed and in force")


@app.command("key")
@_told
def make_key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes: best a stick that leaves the host.")], as_json: AsJson = False
) -> None:
    """Make a signing key; GATEPOST_PASSPHRASE locks it."""
    made = sign.make_key(file, os.environ.get("GATEPOST_PASSPHRASE", "").encode())
    if as_json:
        print(json.dumps({"id": made.public.id, "private": str(file), "public": f"{file}.pub", "signer": made.public.text}))
        return
    print(f'key {made.public.id}: private {file}, public {file}.pub\nfor the site file:  [integrity]  signer = "{made.public.text}"')


@app.command("import")
@_told
def import_policy(
    file: Annotated[Path, typer.Argument(help="twpol.txt of Tripwire or aide.conf of AIDE.")],
    kind: Annotated[str, typer.Option("--from", help="tripwire or aide; guessed from the text when not given.")] = "",
    host: Annotated[str, typer.Option("--host", help="The host name for @@ifhost; this host when not given.")] = "",
    output: Annotated[Path | None, typer.Option("--output", help="Where the rules go; standard output when not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read somebody else's policy: rules for the site file, remarks on standard error. Exit status 1: some lines were not understood."""
    source = file.read_text("utf-8", "replace")
    is_tripwire = kind == "tripwire" or (not kind and "->" in source)
    found = import_tripwire(source, host or platform.node()) if is_tripwire else import_aide(source)
    if as_json:
        remarks = [{"line": r.line, "text": r.text, "error": r.is_error} for r in found.remarks]
        print(json.dumps({"rules": [rule.model_dump() for rule in found.rules], "remarks": remarks}, indent=1))
    else:
        for remark in found.remarks:
            sys.stderr.write(f"{file}:{remark.line}: {'error' if remark.is_error else 'remark'}: {remark.text}\n")
        if output:
            output.write_text(as_toml(found.rules), "utf-8")
        else:
            sys.stdout.write(as_toml(found.rules))
        sys.stderr.write(f"{len(found.rules)} rules, {len(found.errors)} lines not understood\n")
    raise typer.Exit(1 if found.errors else 0)


@app.command()
@_told
def offboard(
    name: Annotated[str, typer.Argument(help="The account name of the person who has left.")],
    site: SiteFile = None,
    root: Root = Path("/"),
    as_json: AsJson = False,
) -> None:
    """Find everything that a person has left: accounts, keys, sessions, jobs, sudo, programs. Exit status 1: something is left."""
    section = watched_host(site, root, None).section
    found = find_leftovers(Host(root, section.role, section.allowed, time.time(), root == Path("/")), name)
    show_findings(f"leftovers of {name}", found, as_json=as_json)
    raise typer.Exit(1 if found else 0)


@app.command()
@_told
def watch(site: SiteFile = None, root: Root = Path("/"), state: StateFolder = None, as_json: AsJson = False) -> None:
    """Watch live: a line for each change, and an event in the journal; a check of its own follows when events were lost. Ends with control-C."""
    watched = watched_host(site, root, state)
    policy = Baseline(watched.state.baseline, watched.state.baseline_keys()).manifest.policy
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with keeping(site) as keep, contextlib.suppress(KeyboardInterrupt):

        def emit(kind: str, subject: str, data: Mapping[str, object]) -> None:
            line = json.dumps({"at": time.time(), "kind": kind, "subject": subject, "data": data}) if as_json else said(kind, subject, data)
            print(line, flush=True)
            keep(kind, subject, data)

        def walk() -> None:
            notify.events(run_check(watched, Options(full=False), lambda _: None), emit)

        Watch(root, policy, watched.state.folder, emit, walk).run(lambda: False)


@app.command()
@_told
def expect(
    paths: Annotated[list[str], typer.Argument(help="Files that were just written on purpose.")],
    why: Why = "",
    who: Who = "",
    site: SiteFile = None,
    root: Root = Path("/"),
    state: StateFolder = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Announce files as they are now, so that the next check does not report them: for scripts that change a host on purpose."""
    watched = watched_host(site, root, state)
    accepting.announce(watched.state, root, paths, who or _caller(), why, _signer(watched, key), time.time())
    print(json.dumps({"announced": paths, "why": why}) if as_json else f"announced {len(paths)}: {why}")


def _newest(place: Path) -> Path:
    """A report file, or the newest in a folder: a folder without any is what a missing report looks like."""
    if not place.is_dir():
        return place
    newest = max(place.glob("[0-9]*.report"), default=None)
    if newest is None:
        raise AcceptError(f"there is no report in {place}: it is missing, or never came")
    return newest


def _known_entries(watched: Watched) -> int:
    try:
        return Baseline(watched.state.baseline, watched.state.baseline_keys()).manifest.entries
    except (BaselineError, KeyFileError, OSError):
        return 0


def _send(watched: Watched, found: reports.Report) -> None:
    """Mail a report. A mail that cannot be sent is told, and the host that waits for it raises the alarm."""
    section = watched.section
    digest = (watched.state.read_head() or (0, ""))[1]
    try:
        notify.send(notify.mails(found, digest, section.sender, section.mail), section.smarthost)
    except (OSError, smtplib.SMTPException) as error:
        sys.stderr.write(f"gatepost integrity: the report could not be mailed by {section.smarthost}: {error}\n")
        raise typer.Exit(BROKEN) from None


def _show(found: reports.Report, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**msgspec.to_builtins(found), "status": found.status.value}, indent=1))
    else:
        sys.stdout.write(text.rendered(found))
