"""The risk register as a document: every risk with its weight, owner and date, what was accepted, the plan, and what a change would do.

Not its job: judging (`assess.risks`).
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from gatepost.assess import score
from gatepost.assess.model import Assessment
from gatepost.assess.risks import CHANGES, Effect, Risk, State, effect, plan, register
from gatepost.report.paper import Block, Heading, Paper, Points, Table, Text


def risk_paper(assessment: Assessment, today: dt.date) -> Paper:
    """The register with everything that belongs to it."""
    risks = register(assessment, today)
    blocks = (
        *_headline(risks, today),
        *_table(risks, today),
        *_plan(risks),
        *_people(assessment),
        *_alone(assessment),
        *(block for change in CHANGES for block in _change(effect(assessment, change, today))),
    )
    return Paper(assessment.text("company", "The company"), "Risk register", str(today), blocks, wide=True)


def _headline(risks: tuple[Risk, ...], today: dt.date) -> Iterator[Block]:
    opened = [risk for risk in risks if risk.state is State.OPEN]
    late = sum(risk.overdue(today) for risk in opened)
    grave = sum(risk.weight == "grave" for risk in opened)
    accepted = sum(risk.state is State.ACCEPTED for risk in risks)
    text = f"{len(opened)} risks are open, {grave} of them grave and {late} overdue; {accepted} are accepted for a time."
    yield Text(text, "ill" if late or grave else "well")
    yield Text("Weight is likelihood times impact, each from 1 to 5: 15 and more is grave, 8 and more is middle.", "note")


def _table(risks: tuple[Risk, ...], today: dt.date) -> Iterator[Block]:
    yield Heading("Register")
    header = ("risk", "why it matters", "weight", "what to do", "owner", "until", "state")
    yield Table(header, tuple(_row(risk, today) for risk in risks))


def _row(risk: Risk, today: dt.date) -> tuple[str, ...]:
    known = risk.known
    title = "\n".join((known.title, *(f"\u2013 {detail}" for detail in risk.details)))
    weight = f"{risk.weight}\n{known.likelihood}\u00a0\u00d7\u00a0{known.impact}\u00a0=\u00a0{risk.level}"
    return (title, known.why, weight, known.measure, risk.owner, str(risk.due), state_words(risk, today))


def state_words(risk: Risk, today: dt.date) -> str:
    """The state with whatever belongs to it."""
    noted = risk.noted
    if risk.state is State.DONE:
        return f"done {noted.done}"
    if risk.state is State.ACCEPTED:
        until = f" until {noted.accepted_until}" if noted.accepted_until else ""
        return f"accepted by {noted.accepted_by}{until}: {noted.accepted_why}"
    if noted.accepted_by:
        return f"open: the acceptance by {noted.accepted_by} has ended"
    return "overdue" if risk.overdue(today) else "open"


def _plan(risks: tuple[Risk, ...]) -> Iterator[Block]:
    yield Heading("Plan")
    for phase in plan(risks):
        yield Heading(f"Phase {phase.number}: {phase.name}", 2)
        lines = [f"done: {risk.known.title}" for risk in phase.done]
        lines += [f"{risk.due}, {risk.owner}: {risk.known.measure} ({risk.known.title})" for risk in phase.to_do]
        lines += [f"deferred, accepted meanwhile by {risk.noted.accepted_by}: {risk.known.title}" for risk in phase.deferred]
        yield Points(tuple(lines)) if lines else Text("Nothing.")
        if phase.number > 1 and phase.to_do:
            yield Text(f"Until then these {len(phase.to_do)} risks are carried; who accepts them says so in the register.", "note")


def _people(assessment: Assessment) -> Iterator[Block]:
    literacy = score.literacy(assessment.sheets)
    yield Heading("People")
    if literacy.score is None:
        yield Text("No employee was asked yet. Until then nobody gets duties, and everything is decided centrally.")
    else:
        what = (
            "Employees may decide about their own held mail." if literacy.duties else "Employees get no duties; texts for them are plain."
        )
        yield Text(f"Computer literacy: {literacy.score} of 100, {literacy.level}, from {literacy.sheets} sheets. {what}")
    found = score.privileges(assessment)
    if found:
        yield Heading("Who has root rights and keys", 2)
        yield Table(
            ("person", "what", "on", "why"), tuple((one.person, one.kind, one.on, one.why or "NO REASON GIVEN: finding") for one in found)
        )
    told = [sheet.answers["e-strange"] for sheet in assessment.sheets if sheet.answers.get("e-strange")]
    if told:
        yield Heading("What employees saw", 2)
        yield Points(tuple(told))


def _alone(assessment: Assessment) -> Iterator[Block]:
    found = score.alone(assessment)
    if found:
        yield Heading("What falls together")
        rows = tuple((one.machine, ", ".join(one.duties), ", ".join(one.data)) for one in found)
        yield Table(("when this machine fails", "these services stop", "these data are at stake"), rows)


def _change(found: Effect) -> Iterator[Block]:
    yield Heading(f"If: {found.change.title}")
    yield Points(
        (
            *(f"added: {risk.known.title} ({risk.weight}). {risk.known.measure}" for risk in found.added),
            *(f"removed: {risk.known.title} ({risk.weight})" for risk in found.removed),
        )
    )
