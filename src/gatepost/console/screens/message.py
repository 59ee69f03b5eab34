"""One mail: its whole way from the sender's connection to the final answer, and why."""

from __future__ import annotations

from starlette.responses import Response

from gatepost.console.rights import Right
from gatepost.console.visit import Refused, Visit
from gatepost.journal.interface import Query
from gatepost.journal.rows import JUDGED
from gatepost.mail.act.quarantine import RELEASABLE
from gatepost.report.story import story

MOST_EVENTS = 10_000


def show(visit: Visit) -> Response:
    """The mail with that id."""
    identifier = visit.request.path_params["id"].upper()
    journal = visit.console.journal
    events = [event for _number, event in journal.events(subject=identifier, limit=MOST_EVENTS)]
    if not events or events[0].kind != JUDGED:
        raise Refused(404, visit.words("No mail has this id; it may have been forgotten, as the site file says."))
    rows = journal.search(Query(id=identifier, limit=MOST_EVENTS))
    return visit.page(
        "message.html",
        id=identifier,
        data=events[0].data,
        recipients=rows,
        lines=story(events),
        releasable=[row for row in rows if row.kept and row.state in RELEASABLE and visit.may(Right.ACT)],
        releases=True,
    )
