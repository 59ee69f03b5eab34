"""A document as text, as a web page that stands alone, or as a PDF of one A4 page.

What it does: lays out; the same document gives the same numbers in all three.
Not its job: what is said (`onepager`, `viruses`).
Raises: `RenderError` when the packages for a form are not installed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from gatepost.report.charts import Bar, bars
from gatepost.report.onepager import Document
from gatepost.report.story import moment, printable
from gatepost.report.table import csv_of
from gatepost.report.viruses import Catch

WIDTH = 78
CHART = 90


class RenderError(Exception):
    """A form cannot be made here; the text says what to install."""


def as_text(document: Document) -> str:
    """The page for a terminal or a mail."""
    light = "GREEN" if document.well else "RED"
    lines = [f"{document.company}: mail security, {document.period}", "", *_wrapped(f"[{light}] {document.headline}"), ""]
    for promise in document.promises:
        lines += _wrapped(f"{'kept  ' if not promise.broken else 'BROKEN'}  {promise.text}", 8)
        lines += [f"        {one}" for one in promise.broken]
    for box in document.boxes:
        lines += ["", box.title]
        lines += [f"  {line.name:<52}{line.value:>20}" for line in box.lines]
        lines += [f"  {one}" for one in textwrap.wrap(box.note, WIDTH - 2)]
    lines += ["", "Infected mails by month", "  " + "  ".join(f"{name[2:]}: {count}" for name, count in document.trend[-6:])]
    lines += ["", "What this does not cover", *(one for limit in document.limits for one in _wrapped(f"- {limit}", 2))]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: int = 0) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent)


def as_html(document: Document, base: str = "") -> str:
    """The page as HTML that needs nothing else. With `base`, the console's address, numbers lead to their lists."""
    chart = bars([Bar(f"{name[2:]}: {count:,}", (("stopped", count),)) for name, count in document.trend], CHART)
    rendered: str = _template("onepager.html").render(document=document, chart=chart, base=base)
    return rendered


def as_pdf(document: Document) -> bytes:
    """The page as PDF."""
    return _pdf(as_html(document))


def catches(found: Sequence[Catch], company: str, period: str, form: str) -> bytes:
    """The list of infected mails as "text", "csv", "html" or "pdf"."""
    if form == "csv":
        return csv_of(_CATCH, (_cells(catch) for catch in found)).encode()
    if form == "text":
        return _catch_text(found).encode()
    page: str = _template("viruses.html").render(company=company, period=period, header=_CATCH, rows=[_cells(catch) for catch in found])
    return _pdf(page) if form == "pdf" else page.encode()


_CATCH = ("time", "from", "to", "direction", "subject", "virus", "found by", "what became of it", "Message-ID", "SHA-256")


def _cells(catch: Catch) -> tuple[str, ...]:
    several = (", ".join(one) for one in (catch.recipients, catch.directions))
    found = (", ".join(one) for one in (catch.viruses, catch.engines, catch.ends))
    cells = (moment(catch.at), catch.sender, *several, catch.subject, *found, catch.message_id, catch.digest)
    return tuple(printable(cell) for cell in cells)


def _catch_text(found: Sequence[Catch]) -> str:
    if not found:
        return "no virus was found in any mail of this month\n"
    blocks = ("\n".join(f"{name:<18} {cell}" for name, cell in zip(_CATCH, _cells(catch), strict=True)) for catch in found)
    return "\n\n".join(blocks) + f"\n\n{len(found):,} infected mails\n"


def _pdf(page: str) -> bytes:
    try:
        weasyprint = import_module("weasyprint")
    except (ImportError, OSError):
        raise RenderError(
            "PDF needs WeasyPrint and the Debian package libpangoft2-1.0-0; install gatepost[report], or choose --format html"
        ) from None
    made: bytes = weasyprint.HTML(string=page, url_fetcher=_nothing).write_pdf()
    return made


def _nothing(url: str, *_arguments: Any, **_options: Any) -> Any:
    """A report fetches nothing, from nowhere."""
    raise ValueError(f"a report must not fetch {url}")


def _template(name: str) -> Any:
    try:
        jinja2 = import_module("jinja2")
    except ImportError:
        raise RenderError("HTML needs Jinja; install gatepost[report], or choose --format text") from None
    loader = jinja2.PackageLoader("gatepost.report")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True).get_template(name)
