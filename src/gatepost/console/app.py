"""The console as an ASGI application: the table of its screens, and the limits round them.

Not its job: serving (`gatepost.services.consoled`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gatepost.console import api
from gatepost.console.door import HEADERS, Screen, dressed, guarded
from gatepost.console.rights import Right
from gatepost.console.screens import (
    account,
    documents,
    engines,
    firewall,
    integrity,
    interview,
    links,
    login,
    message,
    messages,
    overview,
    people,
    quarantine,
    reports,
    risks,
    site,
)
from gatepost.console.visit import Console

THREADS = 4
"""Screens at work at a time; each thread has a connection to the journal of its own."""

SCREENS = (
    Screen("/", overview.home, Right.PERSON),
    Screen("/login", login.form, Right.ANYBODY),
    Screen("/login", login.enter, Right.ANYBODY, "POST"),
    Screen("/login/key", login.prove, Right.ANYBODY, "POST"),
    Screen("/login/provider", login.to_provider, Right.ANYBODY),
    Screen("/login/provider/back", login.from_provider, Right.ANYBODY),
    Screen("/account", account.show, Right.PERSON),
    Screen("/account/keys", account.add, Right.PERSON, "POST"),
    Screen("/account/keys/remove", account.remove, Right.PERSON, "POST"),
    Screen("/logout", login.leave, Right.PERSON, "POST"),
    Screen("/settings", login.settings, Right.ANYBODY, "POST"),
    Screen("/link/{token}", links.show, Right.ANYBODY),
    Screen("/link/{token}", links.use, Right.ANYBODY, "POST"),
    Screen("/overview", overview.show, Right.OVERVIEW),
    Screen("/messages", messages.show, Right.MESSAGES),
    Screen("/messages.csv", messages.export, Right.MESSAGES),
    Screen("/messages/{id}", message.show, Right.MESSAGES),
    Screen("/quarantine", quarantine.show, Right.QUARANTINE),
    Screen("/quarantine/{id}", quarantine.one, Right.CONTENT),
    Screen("/quarantine/confirm", quarantine.confirm, Right.ACT, "POST"),
    Screen("/quarantine/act", quarantine.act, Right.ACT, "POST"),
    Screen("/people", people.show, Right.PEOPLE),
    Screen("/firewall", firewall.show, Right.NETWORK),
    Screen("/firewall/prove", firewall.prove_again, Right.MANAGE, "POST"),
    Screen("/firewall/drawing.svg", firewall.picture, Right.NETWORK),
    Screen("/integrity", integrity.show, Right.NETWORK),
    Screen("/integrity/accept", integrity.accept, Right.MANAGE, "POST"),
    Screen("/engines", engines.show, Right.NETWORK),
    Screen("/engines/judge", engines.judge, Right.MANAGE, "POST"),
    Screen("/site", site.show, Right.NETWORK),
    Screen("/risks", risks.show, Right.RISKS),
    Screen("/risks/note", risks.note, Right.ANSWER, "POST"),
    Screen("/interview", interview.show, Right.RISKS),
    Screen("/interview", interview.answer, Right.ANSWER, "POST"),
    Screen("/reports", reports.show, Right.REPORTS),
    Screen("/reports/one-pager.{form}", reports.page, Right.REPORTS),
    Screen("/reports/viruses.{form}", reports.viruses, Right.REPORTS),
    Screen("/reports/{name}.{form}", documents.give, Right.REPORTS),
    *api.screens(),
)


def application(console: Console, hosts: tuple[str, ...]) -> Starlette:
    """The console; it answers only requests that name one of `hosts` (against DNS rebinding)."""

    @asynccontextmanager
    async def limits(_app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield

    routes: list[BaseRoute] = [Route(one.path, guarded(console, one), methods=[one.method]) for one in SCREENS]
    routes.append(Mount("/static", _Static(directory=Path(__file__).parent / "static")))
    return Starlette(
        routes=routes,
        lifespan=limits,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)],
        exception_handlers={404: _nothing, 405: _nothing, 500: _failed},
    )


class _Static(StaticFiles):
    """Our own style and script, with the headers of everything else."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["Cache-Control"] = "max-age=3600"
        return response


async def _nothing(request: Request, _error: Exception) -> Response:
    return dressed(PlainTextResponse("There is nothing here.\n", 404), request)


async def _failed(request: Request, _error: Exception) -> Response:
    return dressed(PlainTextResponse("Something went wrong here; the log of the console says what.\n", 500), request)
