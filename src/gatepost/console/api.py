"""The console for programs: the same questions and deeds as JSON, described by an OpenAPI document made from the same table.

Who asks brings a session or `Authorization: Bearer TOKEN` (`gatepost console user token`). A deed with a session needs the session's
form mark in `X-Gatepost-Form`; the same rights count as for people.
Not its job: any logic of its own.
Raises: `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from gatepost import __version__
from gatepost.console.door import Screen
from gatepost.console.listing import TEXTS, page, query_of
from gatepost.console.preview import preview
from gatepost.console.rights import Right
from gatepost.console.screens import quarantine, reports
from gatepost.console.visit import Refused, Visit
from gatepost.report.story import plain, story

BASE = "/api/v1"


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


ENDPOINTS = (
    Endpoint("/status", "How the gateway is", Right.OVERVIEW, lambda visit: asdict(visit.console.desk.light())),
    Endpoint("/messages", "Search all mail, newest first", Right.MESSAGES, _messages, asked=_FILTERS),
    Endpoint("/messages/{id}", "The whole way of one mail", Right.MESSAGES, _message),
    Endpoint("/quarantine", "What is held", Right.QUARANTINE, _held, asked=_FILTERS | {"all": "1: refused mail whose bytes are kept too"}),
    Endpoint("/quarantine/{id}", "A safe look into a held mail", Right.CONTENT, _held_one),
    Endpoint("/quarantine/{id}/plan", "What a release would do", Right.ACT, _plan, asked={"recipient": "one of its recipients"}),
    Endpoint(
        "/quarantine/{id}/release",
        "Release to one recipient",
        Right.ACT,
        _deed("release"),
        "POST",
        sent={"recipient": "one of its recipients"},
    ),
    Endpoint(
        "/quarantine/{id}/delete",
        "Delete for one recipient",
        Right.ACT,
        _deed("delete"),
        "POST",
        sent={"recipient": "one of its recipients"},
    ),
    Endpoint(
        "/reports/one-pager",
        "The page for management",
        Right.REPORTS,
        lambda visit: asdict(reports.document_of(visit)),
        asked={"month": "like 2026-11; this month when not given"},
    ),
)


def screens() -> tuple[Screen, ...]:
    """All endpoints and the description, for the table of the application."""
    described = Screen(f"{BASE}/openapi.json", lambda _visit: JSONResponse(description()), Right.PERSON)
    return (described, *(Screen(BASE + one.path, _json(one), one.right, one.method) for one in ENDPOINTS))


def _json(endpoint: Endpoint) -> Callable[[Visit], Response]:
    return lambda visit: JSONResponse(endpoint.answer(visit))


def description() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for one in ENDPOINTS:
        paths.setdefault(BASE + one.path, {})[one.method.lower()] = _operation(one)
    bearer = {"bearer": {"type": "http", "scheme": "bearer"}}
    info = {"title": "Gatepost", "version": __version__, "description": "The same questions and deeds as in the console."}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"securitySchemes": bearer}, "security": [{"bearer": []}]}


def _operation(one: Endpoint) -> dict[str, Any]:
    text = {"type": "string"}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "description": said, "schema": text} for name, said in (one.asked or {}).items()
    ]
    if "{id}" in one.path:
        parameters.append({"name": "id", "in": "path", "required": True, "description": "the mail's id", "schema": text})
    answers = {
        "200": "done",
        "400": "makes no sense",
        "401": "nobody is logged in",
        "403": "the role does not allow it",
        "404": "not there",
    }
    if one.sent:
        answers |= {"409": "cannot be done, and why", "413": "too large", "415": "no JSON"}
    operation: dict[str, Any] = {
        "summary": one.summary,
        "description": f"Needs the right {one.right}.",
        "parameters": parameters,
        "responses": {
            code: {"description": said, "content": {"application/json": {"schema": {"type": "object"}}}} for code, said in answers.items()
        },
    }
    if one.sent:
        properties = {name: text | {"description": said} for name, said in one.sent.items()}
        schema = {"type": "object", "properties": properties, "required": list(one.sent)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation
