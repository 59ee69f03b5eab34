"""The one door to every screen: who comes, may they, and is what they send really theirs.

What it does: finds the session, asks the table of rights, checks that a form was made by us for this session, reads it within limits,
runs the screen in a thread, and puts the same strict headers on every answer.
Not its job: what a screen shows.
Raises: nothing; what a screen refuses becomes a page.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost.console.desk import DeskError
from gatepost.console.rights import Right
from gatepost.console.visit import Console, Refused, Visit
from gatepost.journal.interface import JournalError
from gatepost.mail.act.contents import ContentError
from gatepost.mail.act.quarantine import QuarantineError

log = logging.getLogger(__name__)

Handler = Callable[[Visit], Response]

SESSION = "gatepost"
MOST_FIELDS = 2000
LARGEST_FORM = 1 << 20

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With "no-referrer" browsers send the origin "null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """A place in the console: path, what it shows or does, which right it needs, how it is asked."""

    path: str
    handler: Handler
    right: Right
    method: str = "GET"


def guarded(console: Console, screen: Screen) -> Callable[[Request], Awaitable[Response]]:
    """The screen with the door before it."""

    async def enter(request: Request) -> Response:
        visit = await run_in_threadpool(_visit, console, request, screen.right)
        try:
            if not visit.may(screen.right):
                return dressed(_turned_away(visit), request)
            if screen.method == "POST":
                visit.form = await _json_form(request) if _is_program(request) else await _form(request)
                _check_origin(visit)
            return dressed(await run_in_threadpool(screen.handler, visit), request)
        except Refused as refused:
            return dressed(_said(visit, refused.status, refused.sentence), request)
        except (QuarantineError, ContentError, DeskError) as error:
            return dressed(_said(visit, 409, str(error)), request)
        except JournalError as error:
            log.warning("the console cannot read the journal: %s", error)
            return dressed(_said(visit, 503, str(error)), request)

    return enter


def _visit(console: Console, request: Request, right: Right) -> Visit:
    """Who comes: by the session of the cookie, or by the token of a program."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _is_program(request):
        return Visit(console, request, console.sessions.of_program(bearer.strip()), "", FormData(), right)
    token = request.cookies.get(SESSION, "")
    session = console.sessions.find(token) if token else None
    return Visit(console, request, session, token, FormData(), right)


def _is_program(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _said(visit: Visit, status: int, sentence: str) -> Response:
    """A refusal, for a person as a page and for a program as JSON."""
    if _is_program(visit.request):
        return JSONResponse({"error": sentence}, status)
    return visit.page("refused.html", status, sentence=sentence)


def _turned_away(visit: Visit) -> Response:
    if visit.session is None and _is_program(visit.request):
        raise Refused(401, "Nobody is logged in; send a session or a token.")
    if visit.session is None:
        return visit.go("/login", then=visit.request.url.path) if visit.request.method == "GET" else visit.go("/login")
    raise Refused(403, visit.words("Your role does not allow this."))


async def _form(request: Request) -> FormData:
    """What was sent, if it is a plain form of a sensible size."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(415, "This is not a form of this console.")
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > LARGEST_FORM:
        raise Refused(413, "This form is too large.")
    return await request.form(max_fields=MOST_FIELDS)


async def _json_form(request: Request) -> FormData:
    """The fields of a flat JSON object of texts."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Send application/json.")
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > LARGEST_FORM:
        raise Refused(413, "This is too large.")
    try:
        return FormData(msgspec.json.decode(await request.body(), type=dict[str, str]))
    except msgspec.MsgspecError as error:
        raise Refused(400, f"This is no object of texts: {error}") from None


def _check_origin(visit: Visit) -> None:
    """A form must come from our own page, and with a session carry that session's mark (ASVS V3.5)."""
    origin = visit.request.headers.get("origin", "")
    if origin and urlsplit(origin).netloc != visit.request.headers.get("host", ""):
        raise Refused(403, "This form was sent from another site.")
    if visit.request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refused(403, "This form was sent from another site.")
    mark = visit.request.headers.get("x-gatepost-form", "") if _is_program(visit.request) else visit.sent("form")
    # A program's token comes in a header that no other site can make a browser send; it has no mark.
    if visit.session and visit.session.form and not hmac.compare_digest(mark.encode(), visit.session.form.encode()):
        raise Refused(403, "This form is out of date; go back, load the page again, and repeat.")


def dressed(response: Response, request: Request) -> Response:
    """The answer with the headers that every answer has."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.url.scheme == "https":
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def keep_cookie(response: Response, visit: Visit, name: str, value: str) -> None:
    """Set a cookie that no script can read; with `value` "" remove it."""
    secure = visit.request.url.scheme == "https"
    age = 0 if not value else None
    response.set_cookie(name, value, max_age=age, path="/", secure=secure, httponly=True, samesite="lax")
