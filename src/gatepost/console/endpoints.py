"""Every question and deed that programs may ask of the console, as one table.

Not its job: any logic of its own: each answer is that of a screen, as plain values. How it is asked (`api`).
Raises: `Refused` from the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from gatepost.console.listing import TEXTS, page, query_of
from gatepost.console.preview import preview
from gatepost.console.rights import Right
from gatepost.console.screens import engines, firewall, integrity, interview, overview, quarantine, reports, risks, site
from gatepost.console.visit import Refused, Visit
from gatepost.mail.act.quarantine import FALSE_ALARM, false_alarm
from gatepost.report.story import plain, story


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question or deed: its path below `BASE`, what it needs, what it takes in the address and in the body, each with a sentence."""

    path: str
    summary: str
    right: Right
    answer: Callable[[Visit], Any]
    method: str = "GET"
    asked: Mapping[str, str] | None = None
    sent: Mapping[str, str] | None = None


_FILTERS = dict.fromkeys(TEXTS, "must match; addresses may be @domain, subject may be a part") | {
    "state": "one of the states; may be given several times",
    "since": "first day, like 2026-11-01",
    "until": "last day, like 2026-11-30",
    "before": "continue after the row with this number",
}


def _messages(visit: Visit) -> Any:
    states = [state for state in visit.request.query_params.getlist("state") if state]
    found = page(visit.console.journal, query_of(visit.request.query_params, states))
    return {"rows": [asdict(row) for row in found.rows], "before": found.before}


def _message(visit: Visit) -> Any:
    identifier = visit.request.path_params["id"].upper()
    events = [event for _number, event in visit.console.journal.events(subject=identifier)]
    if not events:
        raise Refused(404, "No mail has this id.")
    return {"id": identifier, "events": [asdict(event) for event in events], "story": plain(story(events))}


def _held(visit: Visit) -> Any:
    found = page(visit.console.journal, quarantine.query(visit))
    return {"rows": [asdict(row) for row in found.rows], "before": found.before}


def _held_one(visit: Visit) -> Any:
    rows = quarantine.rows_of(visit, visit.request.path_params["id"])
    visit.console.accounts.note(visit.user.name, visit.client, "looked into", rows[0].id)
    return {"rows": [asdict(row) for row in rows], "mail": asdict(preview(visit.console.contents.get(rows[0].digest)))}


def _plan(visit: Visit) -> Any:
    made = quarantine.plan(visit, visit.request.path_params["id"], visit.asked("recipient"))
    return {"row": asdict(made.row), "forecast": asdict(visit.console.desk.forecast(made.row.id, made.row.recipient))}


def _deed(chosen: str) -> Callable[[Visit], Any]:
    def do(visit: Visit) -> Any:
        made = quarantine.plan(visit, visit.request.path_params["id"], visit.sent("recipient"))
        quarantine.carry_out(visit, chosen, made.row)
        return {"done": chosen, "id": made.row.id, "recipient": made.row.recipient}

    return do


def _false_alarm(visit: Visit) -> Any:
    identifier, recipient = visit.request.path_params["id"], visit.sent("recipient").lower()
    row = next((row for row in quarantine.rows_of(visit, identifier) if row.recipient == recipient), None)
    if row is None:
        raise Refused(404, visit.words("This mail was not for this recipient."))
    visit.console.desk.tell(FALSE_ALARM, row.id, false_alarm(row, visit.user.name))
    visit.console.accounts.note(visit.user.name, visit.client, "false alarm", f"{row.id} {row.recipient}")
    return {"done": "false-alarm", "id": row.id, "recipient": row.recipient}


def _firewall(visit: Visit) -> Any:
    state = {name: event and asdict(event) for name, event in firewall.state(visit).items()}
    return {"policy": firewall.rows_of(visit), **state}


def _ask(visit: Visit) -> Any:
    return firewall.answer(visit, **{name: visit.asked(name) for name in firewall.ENDS})


def _integrity(visit: Visit) -> Any:
    found = integrity.newest(visit)
    return {"report": msgspec.to_builtins(found.report), "problem": found.problem}


def _accept(visit: Visit) -> Any:
    numbers = visit.sent("findings").replace(",", " ").split()
    if not all(one.isascii() and one.isdigit() and len(one) < _DIGITS for one in numbers):
        raise Refused(400, "Name findings by their numbers, like 1,4,5.")
    paths = integrity.carry_out(visit, frozenset(map(int, numbers)), visit.sent("why").strip(), visit.sent("report"))
    return {"done": "accept", "paths": paths}


def _signatures(visit: Visit) -> Any:
    hits, problem = engines.hits_of(visit)
    return {"ages": dict(engines.ages(visit)), "engines": engines.engines(visit), "hits": [asdict(hit) for hit in hits], "problem": problem}


def _people(visit: Visit) -> Any:
    deeds = [dict(zip(("at", "who", "client", "what", "subject"), deed, strict=True)) for deed in visit.console.accounts.deeds()]
    return {"people": [asdict(user) for user in visit.console.accounts.all()], "deeds": deeds}


def _prove(visit: Visit) -> Any:
    return firewall.proved_now(visit)


def _site_plan(visit: Visit) -> Any:
    return {"changes": site.plan(visit, visit.asked("role") or site.ROLES[0])}


def _judged(act: str) -> Callable[[Visit], Any]:
    return lambda visit: engines.carry_out(visit, act, visit.sent("engine"), visit.sent("name"))


_DIGITS = 10
_QUESTION = {"source": "a zone, a host, an address, or firewall", "destination": "the same", "service": "like smtp or tcp/445"}
_ACCEPT = {"report": "the number of the report", "findings": "their numbers in it, like 1,4,5", "why": "the reason"}
_SIGNATURE = {"engine": "whose signature", "name": "its name"}
_ONE = {"recipient": "one of its recipients"}
_RISK = {
    "risk": "its id",
    "act": "owner, accept, done or open",
    "owner": "who deals with it",
    "due": "until when, like 2026-12-31",
    "who": "who accepts it",
    "until": "until when it is accepted",
    "why": "why it is accepted",
}
_ANSWER = {"question": "its id", "answer": "a text; a table is a line a row, with | between its cells"}
_MONTH = {"month": "like 2026-11; this month when not given"}

ENDPOINTS = (
    Endpoint("/status", "How the gateway is", Right.OVERVIEW, lambda visit: asdict(visit.console.desk.light())),
    Endpoint("/overview", "The numbers of the first screen", Right.OVERVIEW, overview.numbers),
    Endpoint("/messages", "Search all mail, newest first", Right.MESSAGES, _messages, asked=_FILTERS),
    Endpoint("/messages/{id}", "The whole way of one mail", Right.MESSAGES, _message),
    Endpoint("/quarantine", "What is held", Right.QUARANTINE, _held, asked=_FILTERS | {"all": "1: refused mail whose bytes are kept too"}),
    Endpoint("/quarantine/{id}", "A safe look into a held mail", Right.CONTENT, _held_one),
    Endpoint("/quarantine/{id}/plan", "What a release would do", Right.ACT, _plan, asked=_ONE),
    Endpoint("/quarantine/{id}/release", "Release to one recipient", Right.ACT, _deed("release"), "POST", sent=_ONE),
    Endpoint("/quarantine/{id}/delete", "Delete for one recipient", Right.ACT, _deed("delete"), "POST", sent=_ONE),
    Endpoint("/quarantine/{id}/false-alarm", "Say that the finding was wrong", Right.ACT, _false_alarm, "POST", sent=_ONE),
    Endpoint("/firewall", "The policy line by line, its newest proof, drift and change", Right.NETWORK, _firewall),
    Endpoint("/firewall/ask", "May this reach that?", Right.NETWORK, _ask, asked=_QUESTION),
    Endpoint("/firewall/attempts", "What was refused in the last day", Right.NETWORK, firewall.tried),
    Endpoint("/firewall/prove", "Prove the written rules now", Right.MANAGE, _prove, "POST", sent={}),
    Endpoint("/integrity", "The newest integrity report", Right.NETWORK, _integrity),
    Endpoint("/integrity/accept", "Accept findings of the newest report", Right.MANAGE, _accept, "POST", sent=_ACCEPT),
    Endpoint("/signatures", "Ages, certificates, hit rates and the brake", Right.NETWORK, _signatures),
    Endpoint("/signatures/undo", "Let a signature not count any more", Right.MANAGE, _judged("undo"), "POST", sent=_SIGNATURE),
    Endpoint("/signatures/redo", "Let a signature count again", Right.MANAGE, _judged("redo"), "POST", sent=_SIGNATURE),
    Endpoint("/site", "What is declared, with all defaults", Right.NETWORK, site.declared),
    Endpoint("/site/plan", "What would change on this machine", Right.NETWORK, _site_plan, asked={"role": "what this machine is"}),
    Endpoint("/risks", "The risk register", Right.RISKS, risks.listed),
    Endpoint("/risks/note", "Note owner, acceptance or end of a risk", Right.ANSWER, risks.carry_out, "POST", sent=_RISK),
    Endpoint("/interview", "The questions and what was answered", Right.RISKS, interview.answers),
    Endpoint("/interview/answer", "Answer one question", Right.ANSWER, interview.answer_one, "POST", sent=_ANSWER),
    Endpoint("/people", "Who may log in, and what people did", Right.PEOPLE, _people),
    Endpoint(
        "/reports/one-pager", "The page for management", Right.REPORTS, lambda visit: asdict(reports.document_of(visit)), asked=_MONTH
    ),
)
"""All of them."""
