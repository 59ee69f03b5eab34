"""One-time links: looking shows what the link would do, and only the button does it, once.

Mail programs and their guards fetch every link of a mail; so a GET changes nothing, however often it comes.
"""

from __future__ import annotations

from starlette.responses import Response

from gatepost.console.door import SESSION, keep_cookie
from gatepost.console.own import recipients_decide
from gatepost.console.sessions import Link
from gatepost.console.visit import Refused, Visit
from gatepost.journal.interface import Query, Row
from gatepost.mail.act.quarantine import RELEASABLE


def show(visit: Visit) -> Response:
    """Say what the link would do."""
    link = visit.console.sessions.link(_token(visit))
    if link is None:
        raise _over(visit)
    if link.kind == "login":
        return visit.page("link.html", link=link, row=None, next_hop="")
    row = _row(visit, link)
    return visit.page("link.html", link=link, row=row, next_hop=visit.console.desk.forecast(row.id, row.recipient, probe=False).next_hop)


def use(visit: Visit) -> Response:
    """Do what the link stands for."""
    link = visit.console.sessions.link(_token(visit))
    if link is None:
        raise _over(visit)
    if link.kind == "login":
        return _login(visit)
    row = _row(visit, link)
    visit.console.desk.release(row.id, row.recipient, row.recipient)
    # A link is used up by success only: when the next hop was away, its owner may try again. The journal releases a mail once in any case.
    visit.console.sessions.use_link(_token(visit))
    visit.console.accounts.note(row.recipient, visit.client, "released by link", f"{row.id} {row.recipient}")
    return visit.page("link.html", link=None, row=row, next_hop="")


def _token(visit: Visit) -> str:
    return str(visit.request.path_params["token"])


def _over(visit: Visit) -> Refused:
    return Refused(410, visit.words("This link was used already, or its time is over."))


def _row(visit: Visit, link: Link) -> Row:
    rows = visit.console.journal.search(Query(id=link.subject, recipient=link.recipient, kept=True))
    if not recipients_decide(visit.console.site):
        told = "If you need this mail, ask {address} and name the number {number}."
        raise Refused(403, visit.words(told, address=visit.console.site.postmaster, number=link.subject))
    if not rows or rows[0].state not in RELEASABLE:
        raise Refused(410, visit.words("This mail is no longer held for this recipient."))
    return rows[0]


def _login(visit: Visit) -> Response:
    link = visit.console.sessions.use_link(_token(visit))
    if link is None or visit.console.accounts.find(link.subject) is None:
        raise _over(visit)
    visit.console.accounts.note(link.subject, visit.client, "login by link")
    response = visit.go("/")
    keep_cookie(response, visit, SESSION, visit.console.sessions.begin(link.subject, visit.client))
    return response
