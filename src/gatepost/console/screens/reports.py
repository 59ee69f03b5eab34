"""Reports: the one page for management and the list of viruses caught, month by month."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import Response

from gatepost.assess.form import FormError
from gatepost.console.months import TYPES, figures, file, period
from gatepost.console.screens.documents import OFFERS
from gatepost.console.visit import Refused, Visit
from gatepost.report import render
from gatepost.report.charts import Bar, bars
from gatepost.report.figures import Figures
from gatepost.report.onepager import Document, one_pager
from gatepost.report.standing import standing
from gatepost.report.viruses import caught

PATIENCE = 0.15
"""Seconds that the screen waits for figures."""
COME_AGAIN = 3
"""Seconds after which the screen asks again."""


def show(visit: Visit) -> Response:
    """The page of one month, as a screen; while a month with much mail is counted, a page that comes again by itself."""
    asked = period(visit)
    counted = figures(visit, asked, PATIENCE)
    common: dict[str, Any] = {
        "months": _months(visit),
        "offers": OFFERS,
        "period": asked,
        "evidence": f"gatepost report bundle --month {asked.name}",
    }
    if counted is None:
        response = visit.page("reports.html", document=None, chart="", at=0.0, **common)
        response.headers["Refresh"] = str(COME_AGAIN)
        return response
    document = _document(visit, counted.figures)
    chart = bars([Bar(name[2:], (("stopped", count),)) for name, count in document.trend])
    return visit.page("reports.html", document=document, chart=chart, at=counted.at, **common)


def document_of(visit: Visit) -> Document:
    """The one-pager of the month that was asked for."""
    counted = figures(visit, period(visit), None)
    assert counted is not None
    return _document(visit, counted.figures)


def _document(visit: Visit, found: Figures) -> Document:
    site = visit.console.site
    today = datetime.fromtimestamp(visit.console.now()).astimezone().date()
    try:
        held = standing(site, today)
    except (FormError, OSError) as error:
        raise Refused(409, f"The interview cannot be read: {error}") from None
    return one_pager(found, site.site.name, site.report, held)


def _months(visit: Visit) -> list[str]:
    """Months of which the journal has something, newest first."""
    oldest = visit.console.journal.events(limit=1)
    first = datetime.fromtimestamp(oldest[0][1].at if oldest else visit.console.now()).astimezone()
    last = datetime.fromtimestamp(visit.console.now()).astimezone()
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in reversed(numbers)]


def page(visit: Visit) -> Response:
    """The one-pager as a file to keep or to send."""
    form = visit.request.path_params["form"]
    document = document_of(visit)
    makers = {
        "pdf": lambda: render.as_pdf(document),
        "html": lambda: render.as_html(document).encode(),
        "text": lambda: render.as_text(document).encode(),
    }
    if form not in makers:
        raise Refused(404, "The one-pager comes as pdf, html or text.")
    try:
        return file(makers[form](), f"gatepost-{document.period}", form)
    except render.RenderError as error:
        raise Refused(501, str(error)) from None


def viruses(visit: Visit) -> Response:
    """The list of viruses caught as a file."""
    form, asked = visit.request.path_params["form"], period(visit)
    if form not in TYPES:
        raise Refused(404, "The list comes as pdf, html, csv or text.")
    try:
        found = caught(visit.console.journal, asked)
        return file(render.catches(found, visit.console.site.site.name, asked.name, form), f"viruses-{asked.name}", form)
    except render.RenderError as error:
        raise Refused(501, str(error)) from None
