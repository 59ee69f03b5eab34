"""Reports: the one page for management and the list of viruses caught, month by month."""

from __future__ import annotations

import time
from datetime import datetime

from starlette.responses import Response

from gatepost.assess.form import FormError
from gatepost.console.visit import Refused, Visit
from gatepost.report import render
from gatepost.report.charts import Bar, bars
from gatepost.report.figures import Figures, Period, PeriodError, collect, month
from gatepost.report.onepager import Document, one_pager
from gatepost.report.standing import standing
from gatepost.report.viruses import caught

REMEMBERED = 24
"""Months whose figures are kept in memory."""
STALE = 600.0
"""Seconds after which the figures of a month that goes on are counted again."""
TYPES = {"pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "text": "text/plain"}


def show(visit: Visit) -> Response:
    """The page of one month, as a screen."""
    document = document_of(visit)
    chart = bars([Bar(name[2:], (("stopped", count),)) for name, count in document.trend])
    return visit.page("reports.html", document=document, chart=chart, months=_months(visit))


def document_of(visit: Visit) -> Document:
    """The one-pager of the month that was asked for."""
    site = visit.console.site
    today = datetime.fromtimestamp(visit.console.now()).astimezone().date()
    try:
        held = standing(site, today)
    except (FormError, OSError) as error:
        raise Refused(500, f"The interview cannot be read: {error}") from None
    return one_pager(_figures(visit, _period(visit)), site.site.name, site.report, held)


def _period(visit: Visit) -> Period:
    try:
        return month(visit.asked("month") or time.strftime("%Y-%m", time.localtime(visit.console.now())))
    except PeriodError as error:
        raise Refused(400, str(error)) from None


def _figures(visit: Visit, period: Period) -> Figures:
    """The figures of a month; one that is over is counted once."""
    memory: dict[str, tuple[float, Figures]] = visit.console.memory.setdefault("figures", {})
    now = visit.console.now()
    counted, figures = memory.get(period.name, (0.0, None))
    if figures is None or (counted < period.until and now - counted > STALE):
        counted, figures = now, collect(visit.console.journal, period)
        memory[period.name] = (counted, figures)
        while len(memory) > REMEMBERED:
            del memory[next(iter(memory))]
    return figures


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
        return _file(makers[form](), f"gatepost-{document.period}", form)
    except render.RenderError as error:
        raise Refused(501, str(error)) from None


def viruses(visit: Visit) -> Response:
    """The list of viruses caught as a file."""
    form, period = visit.request.path_params["form"], _period(visit)
    if form not in TYPES:
        raise Refused(404, "The list comes as pdf, html, csv or text.")
    try:
        found = caught(visit.console.journal, period)
        return _file(render.catches(found, visit.console.site.site.name, period.name, form), f"viruses-{period.name}", form)
    except render.RenderError as error:
        raise Refused(501, str(error)) from None


def _file(content: bytes, name: str, form: str) -> Response:
    ending = "txt" if form == "text" else form
    return Response(content, media_type=TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'})
