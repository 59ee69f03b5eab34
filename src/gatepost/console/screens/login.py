"""Logging in and out, and the visitor's settings."""

from __future__ import annotations

import hmac
import secrets

from starlette.responses import Response

from gatepost.console.accounts import AccountError, KeyNeededError
from gatepost.console.desk import ProviderError
from gatepost.console.door import SESSION, keep_cookie
from gatepost.console.passkeys import SECONDS
from gatepost.console.screens.account import place
from gatepost.console.sessions import Link
from gatepost.console.visit import LANGUAGES, THEMES, Refused, Visit

FORM = "gatepost-form"
"""The cookie that must fit the login form, so that nobody else's page can log somebody in."""


HALF = "gatepost-half"
"""The cookie of somebody whose password was right, and whose security key must still prove the rest."""
STATE = "gatepost-state"
"""The cookie that binds a login at the provider to the browser that began it."""
BACK = "/login/provider/back"


def form(visit: Visit) -> Response:
    """Ask for name, password and code."""
    return _show(visit)


def _show(visit: Visit, status: int = 200, problem: str = "") -> Response:
    mark = secrets.token_urlsafe(24)
    then = visit.asked("then") or visit.sent("then")
    response = visit.page("login.html", status, mark=mark, problem=problem, then=then, provider=visit.console.provider is not None)
    keep_cookie(response, visit, FORM, mark)
    return response


def enter(visit: Visit) -> Response:
    """Let somebody in, with a new session whatever there was before."""
    if not _is_ours(visit):
        return _show(visit, 403, visit.words("Please try again: the form was out of date."))
    try:
        name, code = visit.sent("name").strip().lower(), visit.sent("code").replace(" ", "")
        user = visit.console.accounts.login(name, visit.sent("password"), code, visit.client)
    except AccountError as error:
        return _show(visit, 401, visit.words(str(error)))
    except KeyNeededError as needed:
        return _ask_key(visit, visit.console.sessions.make_link(Link("half", needed.user.name, visit.client), SECONDS), needed.user.name)
    return _begin(visit, user.name)


def _is_ours(visit: Visit) -> bool:
    known = visit.request.cookies.get(FORM, "")
    return bool(known) and hmac.compare_digest(known.encode(), visit.sent("mark").encode())


def _begin(visit: Visit, name: str) -> Response:
    if visit.token:
        visit.console.sessions.end(visit.token)
    response = visit.go(_inside(visit.sent("then")))
    keep_cookie(response, visit, SESSION, visit.console.sessions.begin(name, visit.client))
    keep_cookie(response, visit, HALF, "")
    return response


def _ask_key(visit: Visit, half: str, name: str, problem: str = "") -> Response:
    mark = secrets.token_urlsafe(24)
    options = visit.console.passkeys.asking(name, place(visit))
    status = 401 if problem else 200
    response = visit.page("passkey.html", status, mark=mark, options=options, then=visit.sent("then"), problem=problem)
    keep_cookie(response, visit, FORM, mark)
    keep_cookie(response, visit, HALF, half)
    return response


def prove(visit: Visit) -> Response:
    """Let somebody in whose password was right, by what their security key signed."""
    half = visit.request.cookies.get(HALF, "")
    link = visit.console.sessions.link(half) if half else None
    if link is None or link.kind != "half" or link.recipient != visit.client or not _is_ours(visit):
        return _show(visit, 403, visit.words("Please try again: the form was out of date."))
    try:
        visit.console.passkeys.prove(link.subject, visit.sent("credential"), place(visit))
    except AccountError as error:
        visit.console.accounts.failed(link.subject, visit.client, "login failed: security key")
        return _ask_key(visit, half, link.subject, visit.words(str(error)))
    visit.console.sessions.use_link(half)
    visit.console.accounts.let_in(link.subject, visit.client, "login with security key")
    return _begin(visit, link.subject)


def to_provider(visit: Visit) -> Response:
    """Send the browser to the organisation's own provider."""
    if visit.console.provider is None:
        raise Refused(404, visit.words("This site has no provider for logins."))
    try:
        address, state = visit.console.provider.begin(place(visit).origin + BACK)
    except ProviderError as error:
        return _show(visit, 502, visit.words(str(error)))
    response = visit.go(address)
    keep_cookie(response, visit, STATE, state)
    return response


def from_provider(visit: Visit) -> Response:
    """Let somebody in whom the provider vouches for, and who has an account here."""
    if visit.console.provider is None:
        raise Refused(404, visit.words("This site has no provider for logins."))
    state = visit.asked("state")
    if not hmac.compare_digest(visit.request.cookies.get(STATE, "").encode(), state.encode()):
        return _show(visit, 403, visit.words("Please try again: the form was out of date."))
    try:
        name = visit.console.provider.finish(state, visit.asked("code"), place(visit).origin + BACK)
    except ProviderError as error:
        return _show(visit, 401, visit.words(str(error)))
    user = visit.console.accounts.of_provider(name)
    if user is None:
        visit.console.accounts.note(name[:64], visit.client, "login refused: no account")
        return _show(visit, 403, visit.words("The provider knows you, but there is no account for you here."))
    visit.console.accounts.let_in(user.name, visit.client, "login by provider")
    response = _begin(visit, user.name)
    keep_cookie(response, visit, STATE, "")
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
