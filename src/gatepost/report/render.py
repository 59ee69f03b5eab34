"""A document as text, as a web page that stands alone, or as a PDF for A4.

What it does: lays out; the same document gives the same numbers in all three.
Not its job: what is said (`onepager`, `viruses`).
Raises: `RenderError` when the packages for a form are not installed.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from markupsafe import Markup

from gatepost.report.charts import Bar, bars
from gatepost.report.onepager import Document
from gatepost.report.paper import Block, Drawing, Heading, Paper, Points, Signatures, Table, Text
from gatepost.report.story import moment, printable
from gatepost.report.table import csv_of
from gatepost.report.viruses import Catch

WIDTH = 78
_UNSAFE_CSS = re.compile(r"[\"\\\n<]")
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


def paper(document: Paper, form: str) -> bytes:
    """A document as "text", "html" or "pdf"."""
    if form == "text":
        return (
            f"{document.company}: {document.title}, {document.dated}\n" + "".join(_block_text(block) for block in document.blocks)
        ).encode()
    blocks = [(type(block).__name__, block) for block in document.blocks]
    page: str = _template("paper.html").render(paper=document, blocks=blocks)
    return _pdf(page) if form == "pdf" else page.encode()


def _block_text(block: Block) -> str:
    match block:
        case Heading():
            return f"\n{block.text}\n{('=' if block.level == 1 else '-') * len(block.text)}\n\n"
        case Text():
            return "\n".join(_wrapped(printable(block.text))) + "\n"
        case Points():
            return "".join("\n".join(_wrapped(f"- {printable(item)}", 2)) + "\n" for item in block.items)
        case Table():
            return "\n".join("\n".join(_record(block.header, row)) + "\n" for row in block.rows)
        case Drawing():
            return f"(drawing: {block.caption})\n"
        case Signatures():
            return "\n" + "".join(f"{role}: ______________________ (date, name, signature)\n\n" for role in block.roles)


def _record(header: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """One row of a table, a line for each cell: tables of words are too wide for a terminal."""
    for name, cell in zip(header, row, strict=True):
        if cell:
            lines = textwrap.wrap(printable(cell.replace("\n", "; ")), WIDTH - 17)
            yield f"{name:<17}{lines[0]}"
            yield from (" " * 17 + line for line in lines[1:])


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


def has_pdf() -> bool:
    """Whether PDF can be made here."""
    try:
        import_module("weasyprint")
    except (ImportError, OSError):
        return False
    return True


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
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"css": lambda text: Markup(_UNSAFE_CSS.sub(" ", text)), "drawing": Markup}  # noqa: S704 - drawn by us, names escaped there
    return environment.get_template(name)
