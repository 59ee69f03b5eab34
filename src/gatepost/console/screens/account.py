"""One's own account: the security keys that may stand in for the one-time code."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from gatepost.console.accounts import AccountError
from gatepost.console.passkeys import Place
from gatepost.console.visit import Refused, Visit


def place(visit: Visit) -> Place:
    """Where the browser is, as the site file says it or as it was asked."""
    declared = urlsplit(visit.console.site.console.url)
    here = visit.request.url
    if declared.hostname:
        return Place(declared.hostname, f"{declared.scheme}://{declared.netloc}")
    return Place(here.hostname or "", f"{here.scheme}://{here.netloc}")


def show(visit: Visit) -> Response:
    """The keys, and what the browser needs for one more."""
    passkeys, name = visit.console.passkeys, visit.user.name
    return visit.page("account.html", user=visit.user, keys=passkeys.of(name), options=passkeys.new(name, place(visit)))


def add(visit: Visit) -> Response:
    """One more key."""
    try:
        visit.console.passkeys.add(visit.user.name, visit.sent("credential"), visit.sent("label").strip(), place(visit))
    except AccountError as error:
        raise Refused(400, visit.words(str(error))) from None
    visit.console.accounts.note(visit.user.name, visit.client, "security key added", visit.sent("label")[:64])
    return visit.go("/account")


def remove(visit: Visit) -> Response:
    """One key less."""
    try:
        visit.console.passkeys.remove(visit.user.name, visit.sent("key"))
    except AccountError as error:
        raise Refused(404, visit.words(str(error))) from None
    visit.console.accounts.note(visit.user.name, visit.client, "security key removed")
    return visit.go("/account")
