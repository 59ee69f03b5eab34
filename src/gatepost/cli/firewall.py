"""`gatepost firewall`: compile, prove, explain, apply.

Not its job: any judgement; each command reads its arguments, makes one call and prints.
Raises: nothing; an error that the user can mend is told on standard error, exit status 2.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from gatepost.cli.attempts import attempts_command
from gatepost.cli.common import note
from gatepost.firewall import guard, lab, nft, telling
from gatepost.firewall.apply import Applied, ApplyError, Place, apply, boot, confirm, session_name
from gatepost.firewall.ask import QuestionError, answer_data, answer_text, ask
from gatepost.firewall.compare import changes_data, changes_text, compare
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import DeclarationError, Policy, declare
from gatepost.firewall.declared import read_policy
from gatepost.firewall.document import drawing, policy_rows, policy_text
from gatepost.firewall.explain import account_data, account_text, explain
from gatepost.firewall.export_iptables import ExportError, export_iptables
from gatepost.firewall.export_pf import export_pf
from gatepost.firewall.harden import profile_text
from gatepost.firewall.host import HostError, compile_host, host_intent
from gatepost.firewall.logged import LogError, read_line
from gatepost.firewall.nft_reader import ReadError
from gatepost.firewall.propose import WHOLE, proposal_text, propose
from gatepost.firewall.prove import Proof, prove, prove_meaning
from gatepost.firewall.reading import kind_of, read_ruleset
from gatepost.firewall.ruleset import Ruleset
from gatepost.firewall.scan import ScanError
from gatepost.firewall.switches import differences, set_profile
from gatepost.firewall.watch import Watch
from gatepost.firewall.why import why
from gatepost.report.why import hint
from gatepost.services.messages import Note
from gatepost.site.load import load, loads
from gatepost.site.problem import SiteError
from gatepost.system.nflog import Nflog

app = typer.Typer(add_completion=False, rich_markup_mode="rich", no_args_is_help=True)

SiteFile = Annotated[Path, typer.Option("--site", metavar="FILE", help="The site file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Plain data for programs.")]
P = ParamSpec("P")
HERE = Path("site.toml")


class Form(StrEnum):
    """The programs that rules can be written for."""

    NFT = "nft"
    IPTABLES = "iptables"
    IP6TABLES = "ip6tables"
    PF = "pf"
    SYSCTL = "sysctl"


UNUSABLE = 2
"""Exit status when the question could not be answered."""


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the errors that a user can mend into a message and exit status 2."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (
            SiteError,
            nft.NftError,
            ReadError,
            QuestionError,
            lab.LabError,
            ApplyError,
            ExportError,
            HostError,
            LogError,
            ScanError,
            OSError,
        ) as error:
            sys.stderr.write(f"gatepost firewall: {error}\n")
            raise typer.Exit(UNUSABLE) from None

    return wrapped


def out(text: str, data: Any, *, as_json: bool) -> None:
    """Print a text, or its data as JSON."""
    sys.stdout.write((json.dumps(data, indent=2) if as_json else text.rstrip()) + "\n")


HostOption = Annotated[str, typer.Option("--host", metavar="NAME", help="The rules that this host of the site has for itself.")]


def written(policy: Policy, host: str = "") -> str:
    """The rules of a policy, for the firewall or for one of the hosts behind it."""
    return compile_host(policy, host) if host else reload_text(compile_policy(policy), ())


def loaded(text: str, listing: Path | None = None, *, live: bool = False) -> Ruleset:
    """The rule set to judge: a file's, this host's, or the written one as a kernel takes it."""
    if listing:
        return read_ruleset(readable(listing))
    return read_ruleset(nft.listing() if live else nft.rehearse(text))


def readable(path: Path) -> str:
    """The text of a rule set; text for `nft -f` is loaded into a network of its own and listed, because only nft can read it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return nft.rehearse(text) if kind_of(text) == "nft" else text


@app.callback()
def firewall() -> None:
    """The firewall: compile it, prove it, ask it, explain anybody's.

    Example:

        gatepost firewall prove --site /etc/gatepost/site.toml
    """


@app.command("compile")
@told
def compile_command(
    site: SiteFile = HERE,
    form: Annotated[Form, typer.Option("--as", "--format", help="For which program the rules are.")] = Form.NFT,
    host: HostOption = "",
    as_json: AsJson = False,
) -> None:
    """Write the rules that the site file means; the kernel checks those for nft. Nothing is loaded.

    nft is for `nft -f`, iptables and ip6tables for `iptables-restore` and `ip6tables-restore` on hosts without nftables;
    pf is for a second firewall on OpenBSD (unproved: check it there with pfctl -nf);
    sysctl is the profile of kernel switches for /etc/sysctl.d. With --host the rules are for that server itself: a second layer.
    """
    policy = read_policy(site)
    match form:
        case Form.NFT:
            text = written(policy, host)
            nft.check(text)
        case _ if host:
            raise HostError("the rules of a host are written for nft only; leave out --as")
        case Form.PF:
            text = export_pf(policy)
        case Form.SYSCTL:
            text = profile_text()
        case _:
            text = export_iptables(policy, 6 if form is Form.IP6TABLES else 4)
    out(text, {str(form): text}, as_json=as_json)


@app.command("prove")
@told
def prove_command(
    site: SiteFile = HERE,
    live: Annotated[bool, typer.Option(help="Judge what this host has loaded.")] = False,
    listing: Annotated[Path | None, typer.Option(metavar="FILE", help="Judge this output of nft -j list ruleset or iptables-save.")] = None,
    host: HostOption = "",
    as_json: AsJson = False,
) -> None:
    """Show that the rules pass exactly what the site declares, or give a packet for which they do not.

    Without --live or --listing the rules of the site are loaded into an empty network of their own, listed and judged.

    Exit status: 0 proved, 1 different (with a packet), 2 refused (with what was not understood).
    """
    policy = read_policy(site)
    ruleset = loaded(written(policy, host), listing, live=live)
    proof = prove_meaning(host_intent(policy, host), ruleset) if host else prove(policy, ruleset)
    if live and not host:
        _proved(site, proof)
    out(telling.proof_text(proof), telling.proof_data(proof), as_json=as_json)
    raise typer.Exit(int(proof.outcome))


@app.command("ask")
@told
def ask_command(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A zone, a host, an address, or firewall.")],
    destination: Annotated[str, typer.Argument(metavar="TO", help="A zone, a host, an address, or firewall.")],
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A service by name, or tcp/445.")],
    site: SiteFile = HERE,
    live: Annotated[bool, typer.Option(help="Ask the rules this host has loaded.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether one may reach the other, by which rule, for what reason.

    Exit status: 0 yes, 1 no or only partly.

    Example: gatepost firewall ask internet mailserver tcp/445
    """
    policy = read_policy(site)
    answer = ask(policy, loaded(written(policy), live=live), source, destination, service)
    out(answer_text(answer), answer_data(answer), as_json=as_json)
    raise typer.Exit(answer.verdict != "yes")


@app.command("explain")
@told
def explain_command(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="An nft listing, iptables-save file or iptables script.")] = None,
    site: Annotated[Path | None, typer.Option(metavar="FILE", help="Call interfaces and hosts by the names in this site file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say in sentences what a rule set lets in and out, and what is wrong with it; without FILE, this host's own."""
    text = readable(file) if file else nft.listing()
    account = explain(text, read_policy(site) if site else None)
    more = hint(f"firewall-{one.name}" for one in account.findings)
    out(f"{account_text(account).rstrip()}\n\n{more}", account_data(account), as_json=as_json)


@app.command("diff")
@told
def diff_command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A rule set in any form, or a site file (.toml).")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A rule set in any form, or a site file (.toml).")],
    as_json: AsJson = False,
) -> None:
    """Say which packets change their verdict between two rule sets. Exit status: 0 none, 1 some."""
    policies = [read_policy(path) if path.suffix == ".toml" else None for path in (old, new)]
    rulesets = [
        loaded(written(policy)) if policy else read_ruleset(readable(path)) for policy, path in zip(policies, (old, new), strict=True)
    ]
    changes = compare(rulesets[0], rulesets[1], policies[1] or policies[0])
    out(changes_text(changes), changes_data(changes), as_json=as_json)
    raise typer.Exit(bool(changes))


@app.command("import")
@told
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An nft listing, iptables-save file or iptables script.")],
    as_json: AsJson = False,
) -> None:
    """Propose the network part of a site file that does what FILE does, with every difference told below it."""
    ruleset = read_ruleset(readable(file))
    text = proposal_text(propose(ruleset))
    try:
        policy = declare(loads(WHOLE + text, "proposal"), dt.datetime.now(tz=dt.UTC).date())
        told_so = changes_text(compare(ruleset, loaded(written(policy)), policy))
    except (SiteError, DeclarationError) as error:
        told_so = f"The proposal must be completed before it can be compared:\n{error}"
    comment = "\n".join(f"# {line}".rstrip() for line in told_so.splitlines())
    out(
        f"{text}\n# How the rules of this proposal would differ from {file.name}:\n#\n{comment}",
        {"site": text, "differences": told_so},
        as_json=as_json,
    )


@app.command("policy")
@told
def policy_command(
    site: SiteFile = HERE,
    svg: Annotated[
        Path | None, typer.Option("--drawing", metavar="FILE", help="Write the drawing of the network to this SVG file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the definitive list of what may pass, why, and who answers for it."""
    policy = read_policy(site)
    if svg:
        svg.write_text(drawing(policy), encoding="utf-8")
    out(policy_text(policy), policy_rows(policy), as_json=as_json)


@app.command("lab")
@told
def lab_command(
    site: SiteFile = HERE,
    nmap: Annotated[bool, typer.Option(help="Let nmap try the same from every zone, with seven kinds of scan.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild the site in network namespaces, with its real rules, and try every side with real packets. Needs root.

    Exit status: 0 everything as declared, 1 something else passed or did not pass.
    """
    found, disagreements = lab.run(read_policy(site), nmap=nmap)
    told_so = ["", *(disagreements or ["nmap agrees, from every zone."])] if nmap else []
    out("\n".join([lab.matrix_text(found), *told_so]), {"cells": lab.matrix_data(found), "nmap": disagreements}, as_json=as_json)
    raise typer.Exit(bool(disagreements) or not all(cell.right for cell in found))


State = Annotated[Path, typer.Option("--state", metavar="DIR", help="Where the confirmed rules are kept.")]
KEPT = Path("/var/lib/gatepost/firewall")


@app.command("apply")
@told
def apply_command(site: SiteFile = HERE, state: State = KEPT, as_json: AsJson = False) -> None:
    """Put the site's rules into force on this host: proved before and after, and taken back unless confirmed in time."""
    policy = read_policy(site)
    waiting = [sys.executable, "-m", "gatepost", "firewall", "guard", "--site", str(site.resolve())]
    done = apply(policy, Place(state), session_name(), waiting, site.read_text(encoding="utf-8"))
    _proved(site, done.proof)
    _journal(site, "firewall.applied", {"rules": done.proof.rules, "ended": len(done.ended), "switches": done.switches})
    seconds = policy.settings.confirm
    told_so = f"Log in anew and run: gatepost firewall confirm\nWithout that the old rules come back in {seconds} seconds."
    out(
        f"{_applied(done)}\n\n{told_so}",
        {"proof": telling.proof_data(done.proof), "ended": [str(c) for c in done.ended], "switches": done.switches},
        as_json=as_json,
    )


def _applied(done: Applied) -> str:
    ended = [f"Ended, because the new rules do not allow it: {connection}" for connection in done.ended]
    return "\n".join([telling.proof_text(done.proof), *ended, *(f"Kernel switch: {told}" for told in done.switches)])


def _proved(site: Path, proof: Proof) -> None:
    """The proof of what is loaded, for the journal, with its date."""
    _journal(site, "firewall.proved", {**telling.proof_data(proof), "of": "loaded"})


def _journal(site: Path, kind: str, data: dict[str, Any], subject: str = "firewall") -> None:
    """What happened to the firewall, for the journal; a site file that cannot be read must not stop a confirmation."""
    with contextlib.suppress(SiteError, OSError):
        note(load(site), Note(kind, subject, data))


@app.command("guard", hidden=True)
@told
def guard_command(
    state: Annotated[Path, typer.Argument(metavar="DIR", help="Where the change that waits is kept.")], site: SiteFile = HERE
) -> None:
    """Started by apply: wait, and take the change back when nobody confirms it."""
    if guard.wait(state):
        _journal(site, "firewall.rolledback", {"why": "not confirmed in time"})


@app.command("confirm")
@told
def confirm_command(state: State = KEPT, site: SiteFile = HERE) -> None:
    """Keep the rules that were applied; say so from a new connection, which proves that you can still get in."""
    confirm(Place(state), session_name())
    _journal(site, "firewall.confirmed", {"session": session_name()})
    out("Confirmed. These rules are loaded at the next boot.", None, as_json=False)


@app.command("boot")
@told
def boot_command(site: SiteFile = HERE, state: State = KEPT) -> None:
    """For the boot, before the network is up: nothing passes, then the confirmed rules, then forwarding, each only if the one before held.

    Where the site file has been changed since, or a permission has ended, what was declared at the confirmation counts, as it is today.
    """
    try:
        policy = read_policy(site)
    except SiteError as error:
        sys.stderr.write(f"gatepost firewall: {error}\n")
        policy = None
    out(_applied(boot(policy, Place(state))), None, as_json=False)


@app.command("why")
@told
def why_command(
    line: Annotated[str, typer.Argument(metavar="LOGLINE", help="A line of the firewall's log, in quotes.")],
    site: SiteFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Say why a packet in the log was refused, and what would allow it."""
    text = why(read_policy(site), read_line(line), dt.datetime.now(tz=dt.UTC).date())
    out(text, {"why": text}, as_json=as_json)


app.command("attempts")(told(attempts_command))


@app.command("watch")
@told
def watch_command(
    site: SiteFile = HERE,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 30,
    state: State = KEPT,
    as_json: AsJson = False,
) -> None:
    """Look at the loaded rules again and again; say when they are no longer what the site declares. Keep who tried what in the journal.

    What the rules log is read from the kernel and kept by the minute; gatepost firewall attempts asks for it.
    A permission that has ended is closed on the day after, in the confirmed rules too, and its connections are ended.
    """
    first = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        log = _log_of(read_policy(site), stack)
        watch = Watch(
            lambda day: read_policy(site, day), Place(state), log, lambda kind, subject, data: _journal(site, kind, data, subject)
        )
        stack.callback(watch.end)
        while True:
            seen = watch.look()
            if seen.proof and (seen.drifted or first):
                out(telling.proof_text(seen.proof), telling.proof_data(seen.proof), as_json=as_json)
                sys.stdout.flush()
            if seen.proof and seen.drifted:
                _journal(site, "firewall.drifted", {"outcome": seen.proof.outcome.name.lower()})
            elif seen.proof:
                _proved(site, seen.proof)
            first = False
            watch.listen(every)


def _log_of(policy: Policy, stack: contextlib.ExitStack) -> Nflog | None:
    """The log of the rules; another program that reads it is no reason not to watch the rules."""
    group = policy.settings.logging.group
    try:
        return stack.enter_context(Nflog(group))
    except OSError as error:
        told_so = f"who tried what is not kept: {error}; end what else reads NFLOG group {group} (ulogd2?), or run this as root"
        sys.stderr.write(f"gatepost firewall: {told_so}\n")
        return None


@app.command("harden")
@told
def harden_command(
    check: Annotated[bool, typer.Option("--check", help="Only say what is otherwise.")] = False, as_json: AsJson = False
) -> None:
    """Set this host's kernel switches, and read them back. Exit status: 0 all as wanted, 1 some are not."""
    left = differences() if check else set_profile()
    out("\n".join(left) or "Every kernel switch is as a firewall needs it.", left, as_json=as_json)
    raise typer.Exit(bool(left))
