"""All mail: search by any field, without end."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from gatepost.console.listing import TEXTS, VERDICTS, chips, page, query_of
from gatepost.console.visit import Visit
from gatepost.journal.interface import Row
from gatepost.journal.states import State
from gatepost.report.story import moment
from gatepost.report.table import csv_of

MOST_CSV, PAGE_CSV = 100_000, 1000


def show(visit: Visit) -> Response:
    """The list with its filters, or the same rows as CSV."""
    parameters = visit.request.query_params
    states = [state for state in parameters.getlist("state") if state]
    query = query_of(parameters, states)
    journal = visit.console.journal
    found = page(journal, query)
    return visit.page(
        "messages.html",
        found=found,
        states=chips(journal, query, "state", [str(state) for state in State]),
        verdicts=chips(journal, query, "verdict", VERDICTS),
        given={name: visit.asked(name) for name in (*TEXTS, "since", "until")},
        asked_states=states,
    )


def export(visit: Visit) -> Response:
    """What the filters show, as CSV; up to 100,000 rows."""
    parameters = visit.request.query_params
    query = query_of(parameters, [state for state in parameters.getlist("state") if state])
    rows: list[Row] = []
    found = page(visit.console.journal, replace(query, limit=PAGE_CSV))
    rows += found.rows
    while found.before and len(rows) < MOST_CSV:
        found = page(visit.console.journal, replace(query, limit=PAGE_CSV, before=found.before))
        rows += found.rows
    return Response(table(rows), media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="mail.csv"'})


def table(rows: list[Row]) -> str:
    """Rows as CSV."""
    header = ("time", "id", "state", "from", "to", "subject", "client", "direction", "verdict", "reason", "rule", "bytes", "sha256")
    return csv_of(
        header,
        (
            (
                moment(row.at), row.id, row.state, row.sender, row.recipient, row.subject, row.client,
                row.direction, row.verdict, row.reason, row.rule, row.size, row.digest,
            )
            for row in rows
        ),
    )  # fmt: skip
