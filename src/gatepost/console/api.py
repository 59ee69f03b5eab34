"""The console for programs: the same questions and deeds as JSON, described by an OpenAPI document made from the same table.

Who asks brings a session or `Authorization: Bearer TOKEN` (`gatepost console user token`). A deed with a session needs the session's
form mark in `X-Gatepost-Form`; the same rights count as for people.
Not its job: the table (`endpoints`), any logic of its own.
Raises: `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from gatepost import __version__
from gatepost.console.door import Screen
from gatepost.console.endpoints import ENDPOINTS, Endpoint
from gatepost.console.rights import Right
from gatepost.console.visit import Visit

BASE = "/api/v1"


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
        "409": "cannot be done, and why",
        "503": "the journal cannot be read now",
    }
    if one.sent is not None:
        answers |= {"413": "too large", "415": "no JSON"}
    operation: dict[str, Any] = {
        "summary": one.summary,
        "description": f"Needs the right {one.right}.",
        "parameters": parameters,
        "responses": {
            code: {"description": said, "content": {"application/json": {"schema": {"type": "object"}}}} for code, said in answers.items()
        },
    }
    if one.sent is not None:
        properties = {name: text | {"description": said} for name, said in one.sent.items()}
        schema = {"type": "object", "properties": properties, "required": list(one.sent)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation
