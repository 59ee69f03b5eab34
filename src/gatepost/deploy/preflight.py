"""What is looked at before a machine is changed, besides what each daemon says of its files: the proof of the rules, and the machine itself.

What it does: proves the new rules against the policy, and asks the doctor for what a change would stumble over: room, memory, ports, next
hops and their names, engines, certificates.
Not its job: the checks of the doctor (`doctor`), the daemons' own checks (`gatepost.system.staging`).
Raises: nothing; what cannot be looked at is told as an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.deploy.doctor.check import Diagnosis, Machine, Severity, examine
from gatepost.deploy.doctor.table import CHECKS
from gatepost.deploy.rooms import policy_of
from gatepost.deploy.units.compile import FIREWALL_ROLES, MAIL_ROLES
from gatepost.firewall import nft
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.nft_reader import ReadError, read_nft
from gatepost.firewall.prove import Outcome, prove
from gatepost.firewall.telling import proof_text
from gatepost.relay.compile import Role
from gatepost.site.model import Site

BEFORE = frozenset({"disk", "memory", "ports", "next hop", "engine socket", "certificate", "unpacking"})
"""The doctor's checks that make sense before anything of ours runs."""

PROOF = "firewall proof"


def preflight(site: Site, role: Role, machine: Machine) -> Iterator[Diagnosis]:
    """What was looked at. Only a proof that fails keeps a change from being made; the rest may be on its way."""
    if role in FIREWALL_ROLES:
        yield _proof(site)
    if role in MAIL_ROLES:
        yield from examine((one for one in CHECKS if one.name in BEFORE), site, machine)


def forbids(found: list[Diagnosis]) -> str:
    """Why the change must not be made, "" when it may."""
    return next((one.seen for one in found if one.check == PROOF and one.severity is Severity.ERROR), "")


def _proof(site: Site) -> Diagnosis:
    policy = policy_of(site)
    try:
        proof = prove(policy, read_nft(nft.rehearse(reload_text(compile_policy(policy), ()))))
    except (nft.NftError, ReadError) as error:
        return Diagnosis(PROOF, Severity.ERROR, f"the rules could not be tried: {error}", "install nftables, and run this as root")
    if proof.outcome is Outcome.PROVED:
        return Diagnosis(PROOF, Severity.WELL, f"{proof.rules} rules let pass exactly what the site declares", "")
    return Diagnosis(PROOF, Severity.ERROR, proof_text(proof), "this is a defect of Gatepost; nothing was changed")
