"""`gatepost mail multidrop`: mail out of one mailbox at the provider, handed to the gateway for the people it is for.

Exit status: 0 all handed on, 75 something is to be tried again (sysexits.h, as fetchmail and getmail expect), 1 something is held, 2 could not look.
"""

from __future__ import annotations

import re
import smtplib
import sys
from typing import Annotated

import typer

from gatepost.cli.common import SITE, SiteOption, fail, printable, site_of
from gatepost.cli.mailfiles import find, read
from gatepost.mail.receive.multidrop import TELLING, Addressed, MultidropError, addressed
from gatepost.site.base import Endpoint, parse_endpoint

LATER = 75
SECONDS = 600.0
REFUSED = 500
_LINE_END = re.compile(rb"\r?\n")


def multidrop(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Mails, Maildirs, mailboxes; - is standard input.")],
    site: SiteOption = SITE,
    field: Annotated[list[str] | None, typer.Option(metavar="NAME", help="The field that tells the recipient, if it is known.")] = None,
) -> None:
    """Hand on mail that was collected in one mailbox for many people. It goes through the gateway like all mail.

    For whom a mail is stands in a field that the provider wrote; To and Cc are never believed. A mail that does not tell stays where it is.
    Nothing is deleted. As the delivery program of fetchmail (mda) it reads one mail from standard input.

    Example:

        gatepost mail multidrop --field X-Envelope-To -
    """
    declared = site_of(site)
    if not declared.mail.smtp.listen:
        fail("the gateway takes mail by milter only; set mail.smtp.listen, like 127.0.0.1:10025")
    gateway = parse_endpoint(declared.mail.smtp.listen, 25)
    fields = tuple(name.lower() for name in field) if field else TELLING
    statuses = {0}
    try:
        for path in find(paths):
            for name, content in read(path):
                statuses.add(_one(name, content, gateway, declared.mail.domains, fields))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    raise typer.Exit(LATER if LATER in statuses else max(statuses))


def _one(name: str, content: bytes, gateway: Endpoint, domains: tuple[str, ...], fields: tuple[str, ...]) -> int:
    try:
        mail = addressed(content.replace(b"\r\n", b"\n"), frozenset(domains), fields)
    except MultidropError as error:
        sys.stdout.write(f"{printable(name)}  held: {printable(str(error))}\n")
        return 1
    code, said = _send(gateway, mail, content)
    to = printable(", ".join(mail.recipients))
    if code == 0:
        sys.stdout.write(f"{printable(name)}  to {to}, told by {mail.field}\n")
        return 0
    sys.stdout.write(f"{printable(name)}  to {to}: {'refused' if code >= REFUSED else 'not now'}: {printable(said)}\n")
    return 1 if code >= REFUSED else LATER


def _send(gateway: Endpoint, mail: Addressed, content: bytes) -> tuple[int, str]:
    """Give it to the gateway; 0 when it was taken for all, otherwise the code and what was said."""
    try:
        with smtplib.SMTP(gateway.host, gateway.port, timeout=SECONDS) as client:
            client.ehlo()
            client.docmd("XFORWARD", "ADDR=[UNAVAILABLE]")  # it came from the world, not from this machine
            answers = [client.mail(mail.sender), *(client.rcpt(recipient) for recipient in mail.recipients)]
            worst = max(answers)
            code, said = worst if worst[0] >= 400 else client.data(_LINE_END.sub(b"\r\n", content))  # noqa: PLR2004 - RFC 5321 4.2.1
    except smtplib.SMTPServerDisconnected as error:
        return LATER, str(error)
    except OSError as error:
        return LATER, f"the gateway does not answer at {gateway.host}:{gateway.port} ({error.strerror or error})"
    return (0 if code < 300 else code), said.decode("utf-8", "replace")  # noqa: PLR2004
