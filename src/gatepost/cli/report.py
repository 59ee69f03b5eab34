"""`gatepost report`: what management and auditors read."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatepost.assess.form import FormError
from gatepost.cli import papers
from gatepost.cli.common import SITE, SiteOption, fail, journal_of, printable, site_of
from gatepost.journal.interface import JournalError
from gatepost.mail.model import Envelope
from gatepost.report import render
from gatepost.report.figures import PeriodError, collect, month
from gatepost.report.onepager import Document, one_pager
from gatepost.report.standing import standing
from gatepost.report.viruses import caught
from gatepost.services import outbox
from gatepost.site.model import Site

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class Form(StrEnum):
    """How a report comes."""

    TEXT = "text"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"


Month = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Which month; this month when not given.")]
Format = Annotated[Form, typer.Option("--format", help="How it comes.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; standard output when not given.")]


@app.callback()
def report() -> None:
    """Reports, each number counted from the journal.

    Example:

        gatepost report one-pager --month 2026-11 --format pdf -o november.pdf
    """


@app.command("one-pager")
def one_pager_command(site: SiteOption = SITE, period: Month = "", form: Format = Form.TEXT, output: Output = None) -> None:
    """One page for management: what was stopped, what was promised and kept, what it saved, what is not covered.

    Example:

        gatepost report one-pager --month 2026-11 --format pdf -o november.pdf
    """
    declared = site_of(site)
    if form is Form.CSV:
        fail("the one-pager comes as text, html or pdf; gatepost report viruses comes as csv too")
    papers.write(_formed(declared, _document(declared, period), form), output)


def _document(site: Site, period: str) -> Document:
    try:
        figures = collect(journal_of(site), month(period or time.strftime("%Y-%m")))
        held = standing(site, dt.datetime.now().astimezone().date())
    except (PeriodError, JournalError, FormError, OSError) as error:
        fail(str(error))
    return one_pager(figures, site.site.name, site.report, held)


def _formed(site: Site, document: Document, form: Form) -> bytes:
    try:
        if form is Form.PDF:
            return render.as_pdf(document)
        return (render.as_html(document, site.console.url) if form is Form.HTML else render.as_text(document)).encode()
    except render.RenderError as error:
        fail(str(error))


@app.command()
def viruses(site: SiteOption = SITE, period: Month = "", form: Format = Form.TEXT, output: Output = None) -> None:
    """Every mail in which a virus was found: when, from whom, to whom, which virus, who found it, what became of it.

    Example:

        gatepost report viruses --month 2026-11 --format csv -o viruses.csv
    """
    declared = site_of(site)
    try:
        found = caught(journal_of(declared), month(period or time.strftime("%Y-%m")))
        papers.write(render.catches(found, declared.site.name, period, str(form)), output)
    except (PeriodError, JournalError, render.RenderError) as error:
        fail(str(error))


@app.command()
def send(
    site: SiteOption = SITE,
    period: Month = "",
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="ADDRESS", help="Who gets it; report.to of the site file when not given.")
    ] = None,
) -> None:
    """Mail the page of a month, as text with the PDF attached.

    Example:

        gatepost report send --month 2026-11
    """
    declared = site_of(site)
    recipients = tuple(to or declared.report.to)
    if not recipients:
        fail("nobody gets it: name addresses in report.to of the site file, or with --to")
    try:
        replies = outbox.send(declared, Envelope("", recipients), _mail(declared, _document(declared, period), recipients))
    except (outbox.NotSentError, OSError) as error:
        fail(f"not sent: {error}")
    for recipient, reply in replies.items():
        print(f"{recipient}: {printable(reply)}")


def _mail(site: Site, document: Document, recipients: Sequence[str]) -> bytes:
    """The page as a mail; its null envelope sender and this header keep machines from answering it (RFC 3834 5)."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = site.postmaster, ", ".join(recipients)
    mail["Subject"] = f"{document.company}: mail security, {document.period}"
    mail["Date"], mail["Auto-Submitted"] = formatdate(localtime=True), "auto-generated"
    mail.set_content(render.as_text(document))
    if render.has_pdf():
        mail.add_attachment(_formed(site, document, Form.PDF), maintype="application", subtype="pdf", filename=f"{document.period}.pdf")
    return mail.as_bytes()


app.command("policy")(papers.policy_command)
app.command("risks")(papers.risks_command)
app.command("decision")(papers.decision_command)
app.command("integrity")(papers.integrity_command)
app.command("firewall")(papers.firewall_command)
app.command("bundle")(papers.bundle_command)
app.command("verify-bundle")(papers.verify_command)
app.command("key")(papers.key_command)
