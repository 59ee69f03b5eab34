"""The firewall policy as a document to sign: what may pass and why, who answers for it, exceptions with their end, drawings before and after.

What it does: arranges what `firewall.document` says of the same policy that the rules are compiled from.
Not its job: proving it; the proof is handed in.
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gatepost.firewall.compare import Change
from gatepost.firewall.declare import Policy
from gatepost.firewall.document import drawing, policy_text
from gatepost.firewall.prove import Outcome, Proof
from gatepost.firewall.words import listing
from gatepost.report.paper import Block, Drawing, Heading, Paper, Points, Signatures, Table, Text
from gatepost.site.model import Site
from gatepost.site.network import Flow, Permission, Publish

SOON = 30
"""Days before its end in which an exception is called out."""

PROVED = "Proved: the rules pass exactly what stands here, in IPv4 and IPv6, and nothing else ({rules:,} rules compared for all packets)."
UNPROVED = "Not proved: the rules do not do what stands here. This policy must not be signed before gatepost firewall prove is satisfied."


@dataclass(frozen=True, slots=True)
class Before:
    """How it was before: the policy that was read from the old rules, None when they could not be drawn, and which packets change."""

    name: str
    policy: Policy | None
    changes: tuple[Change, ...]


def policy_paper(
    site: Site, policy: Policy, today: dt.date, proof: Proof | None = None, before: Before | None = None, refused: Sequence[str] = ()
) -> Paper:
    """The document. `refused` are services that were asked for and not opened, a sentence each."""
    blocks = (
        Text("Nothing passes the firewall but what stands in this document, in IPv4 and IPv6 alike."),
        *_proof(proof),
        *_permissions(site, policy),
        *_exceptions(site, policy, today),
        *_closed(policy, refused),
        Heading("The network"),
        Drawing(drawing(policy), "Zones, machines, and what may begin a connection."),
        *(_before(before) if before else ()),
        Signatures(("Answers for the firewall", "Approved by")),
    )
    return Paper(site.site.name, "Firewall policy", str(today), blocks)


def _proof(proof: Proof | None) -> Iterator[Block]:
    if proof is None:
        yield Text("The rules were not compared with this policy when it was printed.", "note")
    elif proof.outcome is Outcome.PROVED:
        yield Text(PROVED.format(rules=proof.rules), "well")
        yield Points(tuple(promise.text for promise in proof.promises if promise.packet is None))
    else:
        yield Text(UNPROVED, "ill")


def permissions(site: Site) -> tuple[Permission, ...]:
    """Everything that is allowed, in the order of the site file."""
    return (*site.firewall.admin, *site.publish, *site.flows)


def _ends(one: Permission) -> tuple[str, str, str]:
    """From, to, and which services."""
    if isinstance(one, Publish):
        return ", ".join(one.sources), f"{one.host}, as {', '.join(one.addresses)}", ", ".join(one.services)
    assert isinstance(one, Flow)
    return ", ".join(one.sources), ", ".join(one.destinations), ", ".join(one.services)


def _permissions(site: Site, policy: Policy) -> Iterator[Block]:
    yield Heading("What may pass, and why")
    in_force = {item.id for item in policy.allowed}
    named = any(one.answer for one in permissions(site))
    header = ("name", "from", "to", "services", "why", "answers for it")
    rows = [
        (one.id, *_ends(one), f"{one.reason}\nanswer {one.answer}" if one.answer else one.reason, one.owner)
        for one in permissions(site)
        if one.id in in_force
    ]
    yield Table(header, tuple(rows))
    if named:
        yield Text("Each rule names the answer of the risk interview that it follows from.", "note")


def _exceptions(site: Site, policy: Policy, today: dt.date) -> Iterator[Block]:
    yield Heading("Exceptions that end")
    ending = [one for one in permissions(site) if one.expires]
    if not ending:
        yield Text("There is none: every rule above holds until it is changed.")
        return
    rows = tuple((one.id, one.reason, one.owner, str(one.expires), _until(one, policy, today)) for one in ending)
    yield Table(("name", "why", "answers for it", "ends", "state"), rows)


def _until(one: Permission, policy: Policy, today: dt.date) -> str:
    assert one.expires
    if one.id in policy.expired:
        return "expired, and therefore closed"
    days = (one.expires - today).days
    return f"ends in {days} days: decide" if days <= SOON else "in force"


def _closed(policy: Policy, refused: Sequence[str]) -> Iterator[Block]:
    yield Heading("What is closed")
    text = policy_text(policy).splitlines()
    told = tuple(line for line in text if line.startswith(("From ", "There is no", "The firewall answers")) and not line.endswith(":"))
    yield Points(told)
    if refused:
        yield Heading("Asked for and refused", 2)
        yield Points(tuple(refused))


def _before(before: Before) -> Iterator[Block]:
    yield Heading("Before and after")
    if before.policy:
        yield Drawing(drawing(before.policy), f"Before: what {before.name} passed, as far as it can be drawn.")
    yield from changes_blocks(before.changes)


def changes_blocks(changes: Sequence[Change]) -> Iterator[Block]:
    """What passed before and no longer does, and the other way round; what both IP versions share is said once."""
    for opened, title in ((False, "No longer passes"), (True, "Passes now")):
        sentences: dict[str, list[int]] = {}
        for change in changes:
            if change.opened is opened:
                for sentence in change.sentences:
                    sentences.setdefault(sentence, []).append(change.version)
        if sentences:
            yield Heading(title, 2)
            yield Points(tuple(f"{said} ({listing(f'IPv{one}' for one in dict.fromkeys(found))})" for said, found in sentences.items()))
    if not changes:
        yield Text("Both pass exactly the same packets.")
