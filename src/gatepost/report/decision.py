"""The decision record, two pages: what was asked, what was decided, why, what it costs, which risks stay and who carries them.

Not its job: the policy in full (`policy`) and the register in full (`register`).
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from gatepost.assess import score
from gatepost.assess.interview import progress
from gatepost.assess.model import Assessment, Audience
from gatepost.assess.recommend import Refusal
from gatepost.assess.risks import CHANGES, PHASES, Risk, State, effect, register
from gatepost.report.paper import Block, Heading, Paper, Points, Signatures, Table, Text
from gatepost.report.policy import permissions
from gatepost.report.register import state_words
from gatepost.site.model import Site

MOST_RISKS, MOST_REASONS = 9, 60
"""Risks named, and letters of a reason, so that the record is two pages for every company."""
MOST_RULES = 16


def decision_paper(site: Site, assessment: Assessment, refused: Sequence[Refusal], today: dt.date, *, proved: bool | None) -> Paper:
    """The record. `proved` says how the proof of the proposed rules ended, None when nobody tried."""
    risks = register(assessment, today)
    blocks = (
        *_question(assessment),
        *_decision(site, assessment, proved=proved),
        *_services(site, refused),
        *_costs(assessment),
        *_risks(risks, today),
        *_change(assessment, today),
        *_evidence(assessment),
        Signatures(("Proposed by", "Decided by")),
    )
    return Paper(site.site.name, "Decision record: network perimeter and mail", str(today), blocks)


def _question(found: Assessment) -> Iterator[Block]:
    yield Heading("What was decided about")
    wish = found.text("guarantee")
    asked = f" Management wants this promise: \u201c{_cut(wish, 160)}\u201d" if wish else ""
    size = found.text("size")
    people = f" of {size} people" if size.isdigit() else ""
    yield Text(f"How the network of {found.text('company')}{people} is divided, what may pass, and how its mail is scanned.{asked}")


def _decision(site: Site, found: Assessment, *, proved: bool | None) -> Iterator[Block]:
    yield Heading("Decision")
    literacy = score.literacy(found.sheets)
    zones, domains = ", ".join(site.zones), ", ".join(site.mail.domains)
    yield Points(
        (
            f"Three zones ({zones}) round one firewall. Nothing passes but what the policy lists, each rule with reason and owner.",
            f"All mail for {domains}, in and out, passes a scanning relay in a network of its own. What cannot be scanned is not delivered.",
            "Employees decide about their own held mail."
            if literacy.duties
            else "Employees get no duties: what is held is decided by the administrator.",
            "Nobody reads other people's mail. A lawful hold needs two approvals, a scope and an end; it is off.",
            {
                True: "The proposed rules were proved to pass exactly this policy.",
                False: "The proposed rules could not be proved; nothing is put in force before they are.",
                None: "The rules are proved before they are put in force.",
            }[proved],
        )
    )


def _services(site: Site, refused: Sequence[Refusal]) -> Iterator[Block]:
    yield Heading("Services: who needs what")
    rules = permissions(site)
    rows = [(one.id, _cut(one.reason, MOST_REASONS), one.owner, one.answer, str(one.expires or "")) for one in rules[:MOST_RULES]]
    yield Table(("rule", "reason", "owner", "answer", "until"), tuple(rows))
    if len(rules) > MOST_RULES:
        yield Text(f"and {len(rules) - MOST_RULES} more; the firewall policy lists all.", "note")
    for one in refused[:4]:
        yield Text(f"Refused: {_cut(one.service, 20)}, asked for by {_cut(one.asked_by, 20)}: {_cut(one.why, 110)}.")


def _costs(found: Assessment) -> Iterator[Block]:
    yield Heading("Costs")
    lines = ["Gatepost and what it needs: free; one machine with two processors for the firewall, one for the relay."]
    if found.text("mail-costs"):
        lines.append(f"Mailboxes now: {_cut(found.text('mail-costs'), 80)} a month.")
    if found.text("clean-up"):
        lines.append(f"The last infected computer cost {_cut(found.text('clean-up'), 30)} hours of work.")
    budget = {"free": "nothing besides working time", "some": "a server and a licence a year", "needed": "what is needed"}
    if found.text("budget") in budget:
        lines.append(f"Management spends {budget[found.text('budget')]}.")
    yield Points(tuple(lines))


def _risks(risks: tuple[Risk, ...], today: dt.date) -> Iterator[Block]:
    yield Heading("Risks that stay, and who carries them")
    staying = [risk for risk in risks if risk.state is not State.DONE]
    rows = tuple(
        (risk.known.title, risk.weight, PHASES[risk.known.phase], _cut(risk.owner, 30), str(risk.due), _cut(state_words(risk, today), 60))
        for risk in staying[:MOST_RISKS]
    )
    yield Table(("risk", "weight", "phase", "owner", "until", "state"), rows)
    if len(staying) > MOST_RISKS:
        yield Text(f"and {len(staying) - MOST_RISKS} smaller ones; the risk register lists all.", "note")


def _change(found: Assessment, today: dt.date) -> Iterator[Block]:
    if not (found.is_("host-own-mail", "yes") or found.is_("mail-now", "own")):
        return
    effects = effect(found, CHANGES[0], today)
    yield Heading("What hosting our own mail changes")
    added, removed = (", ".join(risk.known.title.lower() for risk in risks) or "nothing" for risks in (effects.added, effects.removed))
    yield Text(f"Risks added: {added}. Risks removed: {removed}.")


def _evidence(found: Assessment) -> Iterator[Block]:
    yield Heading("Evidence")
    done = "; ".join(f"{name}: {progress(found, audience)} answers" for audience, name in _ASKED.items())
    yield Text(f"Interview. {done}; employees: {len(found.sheets)} sheets. The answers are kept with the site file.")


_ASKED = {Audience.IT: "IT", Audience.MANAGERS: "managers", Audience.HR: "human resources"}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"
