"""The documents of `gatepost report`: policy, risks, decision, integrity, firewall, evidence; each gathers, asks for a paper and writes it.

Not its job: the one-pager and the list of viruses (`gatepost.cli.report`).
Raises: nothing; an error that the user can mend is one sentence on standard error, exit status 2.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatepost.assess import store
from gatepost.assess.form import FormError
from gatepost.assess.model import Assessment
from gatepost.assess.recommend import NotYetError, Refusal, propose
from gatepost.cli.common import SITE, SiteOption, fail, journal_of, site_of
from gatepost.firewall import nft
from gatepost.firewall.catalogue import SERVICES
from gatepost.firewall.compare import compare
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import DeclarationError, Policy, declare
from gatepost.firewall.declared import read_policy
from gatepost.firewall.nft_reader import ReadError, read_nft
from gatepost.firewall.propose import WHOLE, proposal_text
from gatepost.firewall.propose import propose as propose_network
from gatepost.firewall.prove import Proof
from gatepost.firewall.reading import kind_of, read_ruleset
from gatepost.firewall.telling import proof_text
from gatepost.integrity.chain import ChainError
from gatepost.integrity.report import verify as verify_report
from gatepost.integrity.sign import KeyFileError, Signer, public_key
from gatepost.integrity.state import State
from gatepost.journal.interface import JournalError
from gatepost.mail.act.receipt import signing_key
from gatepost.report import bundle, perimeter, render
from gatepost.report.assessed import proof_of
from gatepost.report.decision import decision_paper
from gatepost.report.figures import Period, PeriodError, collect, month
from gatepost.report.files import Kept, files_paper
from gatepost.report.onepager import one_pager
from gatepost.report.paper import Paper
from gatepost.report.policy import Before, policy_paper
from gatepost.report.register import risk_paper
from gatepost.report.standing import standing
from gatepost.report.value import value_paper
from gatepost.report.viruses import caught
from gatepost.services import keys
from gatepost.services.keys import KeyFileError as SecretError
from gatepost.site.load import loads
from gatepost.site.model import Site
from gatepost.site.problem import SiteError


class PaperForm(StrEnum):
    """How a document comes."""

    TEXT = "text"
    HTML = "html"
    PDF = "pdf"


Format = Annotated[PaperForm, typer.Option("--format", help="How it comes.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; standard output when not given.")]
Month = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Which month; this month when not given.")]
Answers = Annotated[Path | None, typer.Option("--file", "-f", metavar="FILE", help="The interview; that of the site when not given.")]
Old = Annotated[
    Path | None,
    typer.Option("--before", metavar="FILE", help="How it was before: a site file, an iptables script or listing, or nft -j list ruleset."),
]


def write(content: bytes, output: Path | None) -> None:
    """Write a document where the user wants it."""
    if output is None:
        sys.stdout.buffer.write(content)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        fail(f"{output}: {error.strerror}")


def _write(paper: Paper, form: PaperForm, output: Path | None) -> None:
    try:
        write(render.paper(paper, form), output)
    except render.RenderError as error:
        fail(str(error))


def _today() -> dt.date:
    return dt.datetime.now().astimezone().date()


def period_of(name: str) -> Period:
    """The month that was asked for, or this one."""
    try:
        return month(name or time.strftime("%Y-%m"))
    except PeriodError as error:
        fail(str(error))


def interview_of(site: Site, file: Path | None) -> Assessment:
    """The interview: in a file, or in the state folder of the site."""
    path = file or store.path_in(Path(site.site.state))
    try:
        found = store.load(path)
    except (FormError, OSError) as error:
        fail(f"{path}: {error}")
    if not found.answers:
        fail(f"there is no interview in {path}; gatepost assess --file {path} makes one")
    return found


def _policy(path: Path) -> Policy:
    try:
        return read_policy(path)
    except SiteError as error:
        fail(str(error))


def _before(old: Path | None, policy: Policy) -> Before | None:
    """What was in force before, and how it differs."""
    if old is None:
        return None
    try:
        text = old.read_text(encoding="utf-8")
        if kind_of(text):
            rules = read_ruleset(nft.rehearse(text) if kind_of(text) == "nft" else text)
            former = _drawn(proposal_text(propose_network(rules)))
        else:
            former = read_policy(old)
            rules = read_nft(nft.rehearse(reload_text(compile_policy(former), ())))
        now = read_nft(nft.rehearse(reload_text(compile_policy(policy), ())))
        return Before(old.name, former, tuple(compare(rules, now, policy)))
    except (OSError, UnicodeDecodeError, ReadError, SiteError, DeclarationError, nft.NftError) as error:
        fail(f"{old}: {error}")


def _drawn(network: str) -> Policy | None:
    """The policy that old rules amount to, as far as they can be drawn."""
    try:
        return declare(loads(WHOLE + network, "proposal"), _today())
    except (SiteError, DeclarationError):
        return None


def _proof(policy: Policy) -> Proof | None:
    try:
        return proof_of(policy)
    except nft.NftError as error:
        sys.stderr.write(f"gatepost: the rules are not proved here: {error}\n")
        return None


def policy_command(site: SiteOption = SITE, before: Old = None, form: Format = PaperForm.TEXT, output: Output = None) -> None:
    """Write the firewall policy to sign: what may pass, why, who answers for it, exceptions with their end, drawings, proof.

    Example:

        gatepost report policy --before old-rules.sh --format pdf -o policy.pdf
    """
    declared, policy = site_of(site), _policy(site)
    _write(policy_paper(declared, policy, _today(), _proof(policy), _before(before, policy), _refused(declared)), form, output)


def _refused(site: Site) -> tuple[str, ...]:
    """Services that the interview asked for and that were not opened; none where there is no interview."""
    path = store.path_in(Path(site.site.state))
    try:
        found = _refusals(store.load(path))
    except (FormError, OSError) as error:
        fail(f"{path}: {error}")
    return tuple(f"{one.service}, asked for by {one.asked_by}: {one.why}." for one in found)


def _refusals(found: Assessment) -> tuple[Refusal, ...]:
    try:
        return propose(found, SERVICES).refused
    except NotYetError:
        return ()


def risks_command(site: SiteOption = SITE, file: Answers = None, form: Format = PaperForm.TEXT, output: Output = None) -> None:
    """Write the risk register: each risk with weight, owner and date, the plan, who has root rights, what a change would bring.

    Example:

        gatepost report risks --format pdf -o risks.pdf
    """
    _write(risk_paper(interview_of(site_of(site), file), _today()), form, output)


def decision_command(site: SiteOption = SITE, file: Answers = None, form: Format = PaperForm.TEXT, output: Output = None) -> None:
    """Write the decision record, two pages: what was decided, why, what it costs, which risks stay.

    Example:

        gatepost report decision --format pdf -o decision.pdf
    """
    declared, policy = site_of(site), _policy(site)
    found, proof = interview_of(declared, file), _proof(policy)
    proved = None if proof is None else proof.outcome.name == "PROVED"
    _write(decision_paper(declared, found, _refusals(found), _today(), proved=proved), form, output)


def _kept(site: Site, period: Period) -> list[Kept]:
    """The signed integrity reports of a month in the state folder, each verified."""
    state = State(Path(site.site.state) / "integrity", site.integrity.signer, site.integrity.strict)
    found: list[Kept] = []
    for path in sorted(state.reports.glob("[0-9]*.report")):
        try:
            one = verify_report(path, (state.host_key().public,))
        except (ChainError, KeyFileError, OSError) as error:
            fail(f"{path}: {error}")
        if period.since <= one.report.finished < period.until:
            found.append(Kept(one.report, one.problems))
    return found


def integrity_command(site: SiteOption = SITE, period: Month = "", form: Format = PaperForm.TEXT, output: Output = None) -> None:
    """Write what the checks of this host's files showed in a month, each report verified.

    Example:

        gatepost report integrity --month 2026-11 --format pdf -o integrity.pdf
    """
    declared, asked = site_of(site), period_of(period)
    _write(files_paper(declared.site.name, asked.name, _kept(declared, asked)), form, output)


def firewall_command(
    site: SiteOption = SITE, period: Month = "", before: Old = None, form: Format = PaperForm.TEXT, output: Output = None
) -> None:
    """Write what the firewall refused in a month, by zone, service and source; with --before, what the old rules would have passed.

    Example:

        gatepost report firewall --month 2026-11 --before old-rules.sh --format pdf -o firewall.pdf
    """
    declared, asked = site_of(site), period_of(period)
    old = _before(before, _policy(site)) if before else None
    try:
        found = perimeter.collect(journal_of(declared), asked.since, asked.until).firewall
    except JournalError as error:
        fail(str(error))
    outside = {name for name, zone in declared.zones.items() if zone.external}
    names = {address: name for name, host in declared.hosts.items() for address in host.addresses}
    _write(value_paper(declared.site.name, asked, found, outside, names, old), form, output)


# Evidence.


def _signer(site: Site) -> Signer:
    try:
        return Signer(signing_key(keys.secret(Path(site.site.state) / "keys", "evidence")))
    except SecretError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; run it as root or as the user of the keeper")


def key_command(site: SiteOption = SITE) -> None:
    """Print the public key of this site's evidence; give it to auditors another way than the bundles.

    Example:

        gatepost report key
    """
    print(_signer(site_of(site)).public.text)


def bundle_command(
    site: SiteOption = SITE,
    period: Month = "",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to.")] = Path("evidence.zip"),
) -> None:
    """Pack signed evidence of a month for auditors: documents, proof, numbers, reports; it verifies anywhere with the public key.

    Example:

        gatepost report bundle --month 2026-11 -o evidence.zip
    """
    declared, asked = site_of(site), period_of(period)
    try:
        journal = journal_of(declared)
        whole = journal.verify()
        files = dict(_evidence(site, declared, asked))
    except JournalError as error:
        fail(str(error))
    link = {"events": str(whole.events), "number": str(whole.sequence), "hash": whole.hash}
    made = dt.datetime.now().astimezone().isoformat(timespec="seconds")
    signer = _signer(declared)
    write(bundle.packed(declared.site.name, asked.name, made, link, files, signer), output)
    print(f"{output}: {len(files)} files, journal whole up to event {whole.sequence:,}, signed with key {signer.public.id}")


def _evidence(path: Path, site: Site, period: Period) -> Iterable[tuple[str, bytes]]:
    journal, today, policy = journal_of(site), _today(), _policy(path)
    proof = _proof(policy)
    yield "site.toml", path.read_bytes()
    yield "proof.txt", (proof_text(proof) if proof else "not proved here").encode()
    figures = collect(journal, period)
    yield "one-pager.txt", render.as_text(one_pager(figures, site.site.name, site.report, standing(site, today))).encode()
    yield "viruses.csv", render.catches(caught(journal, period), site.site.name, period.name, "csv")
    papers = {
        "policy": policy_paper(site, policy, today, proof, refused=_refused(site)),
        "integrity": files_paper(site.site.name, period.name, _kept(site, period)),
        "firewall": value_paper(
            site.site.name, period, figures.perimeter.firewall, {name for name, zone in site.zones.items() if zone.external}, {}
        ),
    }
    found = store.load(store.path_in(Path(site.site.state)))
    if found.answers:
        papers["risks"] = risk_paper(found, today)
        yield "interview.toml", store.path_in(Path(site.site.state)).read_bytes()
    for name, paper in papers.items():
        yield f"{name}.txt", render.paper(paper, "text")
        yield f"{name}.html", render.paper(paper, "html")
    for report in sorted((Path(site.site.state) / "integrity" / "reports").glob("[0-9]*.report")):
        yield f"integrity/{report.name}", report.read_bytes()


def verify_command(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What gatepost report bundle made.")],
    key: Annotated[str, typer.Option("--key", help='The public key: "ed25519 ..." or a file that holds it.')],
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Verify a bundle away from its site: signature, and every file. Exit status 0: genuine and whole, 1: not.

    Example:

        gatepost report verify-bundle evidence.zip --key site.pub
    """
    try:
        trusted = public_key(Path(key).read_text("ascii") if Path(key).is_file() else key)
        found = bundle.verify(file.read_bytes(), trusted)
    except (bundle.BundleError, KeyFileError) as error:
        fail(f"{file}: {error}")
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    manifest = found.manifest
    if as_json:
        print(json.dumps({"genuine": not found.problems, "problems": found.problems, "period": manifest.period, "site": manifest.site}))
    elif found.problems:
        print(f"FORGED OR BROKEN: {file}", *(f"  {problem}" for problem in found.problems), sep="\n")
    else:
        print(f"genuine and whole: {file}, {manifest.site}, {manifest.period}, made {manifest.made}, {len(manifest.files)} files")
    raise typer.Exit(bool(found.problems))
