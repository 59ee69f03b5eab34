"""From an interview to everything it is for: the proposed site file, checked and proved, and the three documents about it.

What it does: calls the rooms in order: propose, check, resolve, compile, load into an empty namespace, prove; hands all of it to the documents.
Not its job: questions (`assess`), layout (`render`).
Raises: `NotYetError` while an answer of the short way is missing; `SiteError`, `DeclarationError` when answers contradict each other.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gatepost.assess.model import Assessment
from gatepost.assess.recommend import Proposal, propose
from gatepost.firewall import nft
from gatepost.firewall.catalogue import SERVICES
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy, declare
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, Proof, prove
from gatepost.report.decision import decision_paper
from gatepost.report.paper import Paper
from gatepost.report.policy import Before, policy_paper
from gatepost.report.register import risk_paper
from gatepost.site.load import loads
from gatepost.site.model import Site

NAME = "site.toml"


@dataclass(frozen=True, slots=True)
class Proposed:
    """The proposed site with its policy and proof; `proof` is None where the kernel could not be asked, and `unproved` says why."""

    proposal: Proposal
    site: Site
    policy: Policy
    proof: Proof | None
    unproved: str = ""

    @property
    def proved(self) -> bool | None:
        """How the proof ended; None when there was none."""
        return None if self.proof is None else self.proof.outcome is Outcome.PROVED


@dataclass(frozen=True, slots=True)
class Documents:
    """What an interview leads to."""

    proposed: Proposed
    policy: Paper
    risks: Paper
    decision: Paper


def proof_of(policy: Policy) -> Proof:
    """Compare the rules of a policy, as the kernel reads them in an empty namespace, with the policy. Raises nft.NftError."""
    return prove(policy, read_nft(nft.rehearse(reload_text(compile_policy(policy), ()))))


def proposed(assessment: Assessment, today: dt.date) -> Proposed:
    """The site file that the answers ask for, checked and, where nft is there, proved."""
    proposal = propose(assessment, SERVICES)
    site = loads(proposal.text, NAME)
    policy = declare(site, today)
    try:
        return Proposed(proposal, site, policy, proof_of(policy))
    except nft.NftError as error:
        return Proposed(proposal, site, policy, None, str(error))


def documents(assessment: Assessment, today: dt.date, before: Before | None = None) -> Documents:
    """Site file, policy, register and decision record, without a pen."""
    found = proposed(assessment, today)
    refused = tuple(f"{one.service}, asked for by {one.asked_by}: {one.why}." for one in found.proposal.refused)
    return Documents(
        found,
        policy_paper(found.site, found.policy, today, found.proof, before, refused),
        risk_paper(assessment, today),
        decision_paper(found.site, assessment, found.proposal.refused, today, proved=found.proved),
    )
