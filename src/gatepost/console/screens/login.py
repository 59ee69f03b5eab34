"""Logging in and out, and the visitor's settings."""

from __future__ import annotations

import hmac
import secrets

from starlette.responses import Response

from gatepost.console.accounts import AccountError
from gatepost.console.door import SESSION, keep_cookie
from gatepost.console.visit import LANGUAGES, THEMES, Refused, Visit

FORM = "gatepost-form"
"""The cookie that must fit the login form, so that nobody else's page can log somebody in."""


def form(visit: Visit) -> Response:
    """Ask for name, password and code."""
    return _show(visit)


def _show(visit: Visit, status: int = 200, problem: str = "") -> Response:
    mark = secrets.token_urlsafe(24)
    then = visit.asked("then") or visit.sent("then")
    response = visit.page("login.html", status, mark=mark, problem=problem, then=then)
    keep_cookie(response, visit, FORM, mark)
    return response


def enter(visit: Visit) -> Response:
    """Let somebody in, with a new session whatever there was before."""
    known = visit.request.cookies.get(FORM, "")
    if not known or not hmac.compare_digest(known, visit.sent("mark")):
        return _show(visit, 403, visit.words("Please try again: the form was out of date."))
    try:
        name, code = visit.sent("name").strip().lower(), visit.sent("code").replace(" ", "")
        user = visit.console.accounts.login(name, visit.sent("password"), code, visit.client)
    except AccountError as error:
        return _show(visit, 401, visit.words(str(error)))
    if visit.token:
        visit.console.sessions.end(visit.token)
    response = visit.go(_inside(visit.sent("then")))
    keep_cookie(response, visit, SESSION, visit.console.sessions.begin(user.name, visit.client))
    return response


def _inside(path: str) -> str:
    """A path of ours; anything else would lead people who just logged in to somebody else's site."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else "/"


def leave(visit: Visit) -> Response:
    """Log out."""
    visit.console.sessions.end(visit.token)
    visit.console.accounts.note(visit.user.name, visit.client, "logout")
    response = visit.go("/login")
    keep_cookie(response, visit, SESSION, "")
    return response


def settings(visit: Visit) -> Response:
    """Choose language and theme."""
    theme, language = visit.sent("theme"), visit.sent("language")
    if theme not in {"", *THEMES} or language not in {"", *LANGUAGES}:
        raise Refused(400, "There is no such setting.")
    response = visit.go(_inside(visit.sent("then")))
    for name, value in (("theme", theme), ("language", language)):
        if value:
            response.set_cookie(name, value, max_age=31_536_000, path="/", httponly=True, samesite="lax")
    return response
