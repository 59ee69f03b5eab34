"""The documents for management and auditors, each as a file: policy, risks, decision, integrity, what the firewall refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from gatepost.assess.recommend import NotYetError, Refusal, propose
from gatepost.console.desk import DeskError
from gatepost.console.months import file, period
from gatepost.console.screens import firewall, interview
from gatepost.console.screens.risks import today
from gatepost.console.visit import Refused, Visit
from gatepost.firewall.catalogue import SERVICES
from gatepost.firewall.prove import Outcome, Proof, prove
from gatepost.integrity.chain import ChainError
from gatepost.integrity.report import verify
from gatepost.integrity.sign import KeyFileError
from gatepost.integrity.state import State
from gatepost.report import perimeter, render
from gatepost.report.decision import decision_paper
from gatepost.report.figures import Period
from gatepost.report.files import Kept, files_paper
from gatepost.report.paper import Paper
from gatepost.report.policy import policy_paper
from gatepost.report.register import risk_paper
from gatepost.report.value import value_paper

FORMS = ("pdf", "html", "text")


@dataclass(frozen=True, slots=True)
class Offer:
    """One document: its name in addresses, its title, how it is made, and whether it is about a month or about today."""

    name: str
    title: str
    make: Callable[[Visit, Period], Paper]
    is_monthly: bool = False


def _policy(visit: Visit, _period: Period) -> Paper:
    refused = tuple(f"{one.service}, asked for by {one.asked_by}: {one.why}." for one in _refusals(visit))
    return policy_paper(visit.console.site, firewall.policy_of(visit), today(visit), _proof(visit), refused=refused)


def _proof(visit: Visit) -> Proof | None:
    """The proof of the written rules; None where they cannot be tried out."""
    try:
        return prove(firewall.policy_of(visit), firewall.ruleset(visit))
    except DeskError:
        return None


def _refusals(visit: Visit) -> tuple[Refusal, ...]:
    """Services that the interview asked for and that are not opened."""
    try:
        return propose(interview.load(visit), SERVICES).refused
    except NotYetError:
        return ()


def _risks(visit: Visit, _period: Period) -> Paper:
    return risk_paper(interview.begun(visit), today(visit))


def _decision(visit: Visit, _period: Period) -> Paper:
    proof = _proof(visit)
    proved = None if proof is None else proof.outcome is Outcome.PROVED
    return decision_paper(visit.console.site, interview.begun(visit), _refusals(visit), today(visit), proved=proved)


def _integrity(visit: Visit, asked: Period) -> Paper:
    return files_paper(visit.console.site.site.name, asked.name, _kept(visit, asked))


def _kept(visit: Visit, asked: Period) -> list[Kept]:
    """The signed integrity reports of a month, each verified."""
    section = visit.console.site.integrity
    state = State(Path(visit.console.site.site.state) / "integrity", section.signer, section.strict)
    try:
        found = [verify(path, state.ledger_keys()) for path in sorted(state.reports.glob("[0-9]*.report"))]
    except (ChainError, KeyFileError) as error:
        raise Refused(409, str(error)) from None
    except OSError as error:
        raise Refused(409, f"{error.filename}: {error.strerror}") from None
    return [Kept(one.report, one.problems) for one in found if asked.since <= one.report.finished < asked.until]


def _firewall(visit: Visit, asked: Period) -> Paper:
    site = visit.console.site
    found = perimeter.collect(visit.console.journal, asked.since, asked.until).firewall
    outside = {name for name, zone in site.zones.items() if zone.external}
    names = {address: name for name, host in site.hosts.items() for address in host.addresses}
    return value_paper(site.site.name, asked, found, outside, names, None)


OFFERS = (
    Offer("policy", "Firewall policy, to sign", _policy),
    Offer("risks", "Risk register", _risks),
    Offer("decision", "Decision record", _decision),
    Offer("integrity", "Integrity of the servers", _integrity, is_monthly=True),
    Offer("firewall", "What the firewall refused", _firewall, is_monthly=True),
)


def give(visit: Visit) -> Response:
    """One document as a file."""
    offer = next((one for one in OFFERS if one.name == visit.request.path_params["name"]), None)
    form, asked = visit.request.path_params["form"], period(visit)
    if offer is None or form not in FORMS:
        raise Refused(404, visit.words("There is no such document; it comes as pdf, html or text."))
    if offer.name in {"policy", "decision"} and not visit.console.site.zones:
        raise Refused(404, visit.words("This site declares no network."))
    try:
        content = render.paper(offer.make(visit, asked), form)
    except render.RenderError as error:
        raise Refused(501, str(error)) from None
    return file(content, f"{offer.name}-{asked.name if offer.is_monthly else today(visit)}", form)
