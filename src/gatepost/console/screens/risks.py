"""The risks: what the interview showed, how grave, who deals with each until when, and what is accepted meanwhile."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from gatepost.assess.model import Noted
from gatepost.assess.risks import Risk, State, noted, plan, register, seen
from gatepost.assess.score import alone, literacy
from gatepost.console.rights import Right
from gatepost.console.screens import interview
from gatepost.console.visit import Refused, Visit

SIZES = range(1, 6)
"""Steps of likelihood and of impact."""
LONGEST = 200


def today(visit: Visit) -> dt.date:
    """The day of the visit, here."""
    return dt.datetime.fromtimestamp(visit.console.now()).astimezone().date()


def risks_of(visit: Visit) -> tuple[Risk, ...]:
    """The register as it is today."""
    return register(interview.load(visit), today(visit))


def open_risks(visit: Visit) -> list[Risk] | None:
    """What must still be dealt with; None before anybody was asked."""
    if not interview.load(visit).answers:
        return None
    return [risk for risk in risks_of(visit) if risk.state is State.OPEN]


def show(visit: Visit) -> Response:
    """The register, as a map of likelihood and impact and line by line."""
    assessment, day = interview.load(visit), today(visit)
    found = register(assessment, day)
    return visit.page(
        "risks.html",
        risks=found,
        open_=[risk for risk in found if risk.state is State.OPEN],
        overdue={risk.id for risk in found if risk.overdue(day)},
        map=_map(found),
        sizes=SIZES,
        phases=plan(found),
        alone=alone(assessment),
        literacy=literacy(assessment.sheets),
        is_answered=bool(assessment.answers or assessment.sheets),
        may_answer=visit.may(Right.ANSWER),
    )


def _map(found: tuple[Risk, ...]) -> dict[tuple[int, int], int]:
    """How many open risks there are of each likelihood and impact."""
    counts: dict[tuple[int, int], int] = {}
    for risk in found:
        if risk.state is State.OPEN:
            place = (risk.known.likelihood, risk.known.impact)
            counts[place] = counts.get(place, 0) + 1
    return counts


def note(visit: Visit) -> Response:
    """Write down who deals with a risk, or who accepts it until when and why, or that it is done."""
    carry_out(visit)
    return visit.go("/risks")


def carry_out(visit: Visit) -> dict[str, Any]:
    """What was noted of one risk. Accepting needs a name, a date and a reason: nobody accepts for ever."""
    day = today(visit)
    risk = next((one for one in risks_of(visit) if one.id == visit.sent("risk")), None)
    if risk is None:
        raise Refused(404, visit.words("There is no such risk."))
    made = _noted(visit, risk, day)
    interview.change(visit, lambda now: noted(seen(now, day), risk.id, made))
    visit.console.accounts.note(visit.user.name, visit.client, f"risk: {visit.sent('act')}", risk.id)
    return {"done": visit.sent("act"), "risk": risk.id}


def _noted(visit: Visit, risk: Risk, day: dt.date) -> Noted:
    before = replace(risk.noted, found=risk.found)
    match visit.sent("act"):
        case "owner":
            return replace(before, owner=_text(visit, "owner"), due=_date(visit, "due"))
        case "accept":
            until = _date(visit, "until")
            if until < day:
                raise Refused(400, visit.words("The date is over already."))
            return replace(before, accepted_by=_text(visit, "who"), accepted_until=until, accepted_why=_text(visit, "why"))
        case "done":
            return replace(before, done=day)
        case "open":
            return Noted(found=risk.found, owner=before.owner, due=before.due)
        case _:
            raise Refused(400, visit.words("There is no such deed."))


def _text(visit: Visit, name: str) -> str:
    text = " ".join(visit.sent(name).split())[:LONGEST]
    if not text:
        raise Refused(400, visit.words("Fill in name, date and reason."))
    return text


def _date(visit: Visit, name: str) -> dt.date:
    try:
        return dt.date.fromisoformat(visit.sent(name).strip())
    except ValueError:
        raise Refused(400, visit.words("Fill in name, date and reason.")) from None


def listed(visit: Visit) -> dict[str, Any]:
    """The register for programs."""
    day = today(visit)
    return {"risks": [_plain(risk, day) for risk in risks_of(visit)]}


def _plain(risk: Risk, day: dt.date) -> dict[str, Any]:
    return {
        "id": risk.id,
        "title": risk.known.title,
        "why": risk.known.why,
        "measure": risk.known.measure,
        "likelihood": risk.known.likelihood,
        "impact": risk.known.impact,
        "level": risk.level,
        "state": str(risk.state),
        "owner": risk.owner,
        "found": str(risk.found),
        "due": str(risk.due),
        "overdue": risk.overdue(day),
        "accepted_by": risk.noted.accepted_by,
        "accepted_until": str(risk.noted.accepted_until or ""),
        "accepted_why": risk.noted.accepted_why,
        "details": list(risk.details),
    }
