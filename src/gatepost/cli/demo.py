"""`gatepost demo`: the demo company's mail, sent through a real gateway on this machine, and what became of each mail."""

from __future__ import annotations

import io
import smtplib
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gatepost.assess.form import FormError
from gatepost.assess.interview import AnswerError
from gatepost.cli.common import fail, printable
from gatepost.cli.log import table
from gatepost.integrity.check import CheckError
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act.receipt import FIELD, ReceiptError, verify_receipt
from gatepost.mail.inspect.samples import EICAR
from gatepost.mail.model import Envelope
from gatepost.report.story import plain, story
from gatepost.services import keys
from gatepost.services.gateway import StartError
from gatepost.services.playground import Mailbox, Playground, free_port, tried
from gatepost.services.pretend import PretendError, pretend
from gatepost.services.pretend_host import pretend_host, pretend_interview
from gatepost.site.model import Site
from gatepost.system import logs

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

STRANGER, WORKSTATION = "203.0.113.7", "192.168.3.100"
"""Addresses from which the mails seem to come: the Internet, and the internal network of Company Widget."""

ALERT = 5.0
"""Seconds to wait for the alert at most."""

WIDTH = 120
"""Columns that the tables take at least: a narrower terminal folds them."""

WIDGET = {
    "site": {"name": "Company Widget"},
    "zones": {"internet": {"interfaces": ["eth0"], "external": True}, "internal": {"interfaces": ["eth2"], "prefixes": ["192.168.3.0/24"]}},
    "mail": {"domains": ["widget.example"], "next_hop": "mailserver.widget.example:25", "relay_from": ["internal"]},
}


@dataclass(frozen=True)
class Sent:
    """A mail of the demo: what it shows, from which host it comes, and the mail."""

    what: str
    client: str
    mail: EmailMessage


@dataclass
class Inbox:
    """What was delivered: people's mail, and what Gatepost itself wrote to the administrator."""

    mails: list[bytes] = field(default_factory=list)
    alerts: list[bytes] = field(default_factory=list)

    def take(self, envelope: Envelope, content: bytes) -> None:
        """Remember a mail."""
        own = not envelope.sender and content.startswith(b"From: Gatepost <")
        (self.alerts if own else self.mails).append(content)

    def wait_for_alert(self) -> None:
        """Give the first alert the second that it needs."""
        end = time.monotonic() + ALERT
        while not self.alerts and time.monotonic() < end:
            time.sleep(ALERT / 50)


@app.command()
def demo(
    month: Annotated[Path | None, typer.Option(metavar="DIR", help="Instead: write a month of made-up mail for gatepost run here.")] = None,
    mails: Annotated[int, typer.Option(min=100, help="With --month: so many mails.")] = 20_000,
    interview: Annotated[Path | None, typer.Option(metavar="FILE", help="With --month: a filled-in form of gatepost assess print.")] = None,
) -> None:
    """Send clean and infected mail through a real gateway here, in and out, and show what became of each. Takes a few seconds.

    Examples:

        gatepost demo

        gatepost demo --month .run && gatepost run --site examples/widget/site.toml
    """
    if month is not None:
        _pretend(month.resolve(), mails, interview)
        return
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    logs.to_nowhere()
    with tempfile.TemporaryDirectory(prefix="gatepost-demo-") as folder:
        delivered, stopped, unscanned = _play(console, Path(folder))
    sys.stdout.write(f"demo: {delivered} delivered, {stopped} stopped, {unscanned} unscanned\n")
    raise typer.Exit(1 if unscanned else 0)


def _pretend(folder: Path, mails: int, interview: Path | None) -> None:
    """Fill the state of a tried site."""
    site, _notes = tried(Site.model_validate(WIDGET), folder, free_port(), free_port())
    try:
        count = pretend(site, datetime.now().astimezone(), mails)
        pretend_host(site, folder)
        if interview:
            pretend_interview(site, interview)
    except (AnswerError, CheckError, FormError, JournalError, PretendError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    sys.stdout.write(f"{mails:,} mails ({count:,} events) are in {folder}; gatepost run --folder {folder} shows them in the console\n")


def _play(console: Console, folder: Path) -> tuple[int, int, int]:
    inbox, port, smtp = Inbox(), free_port(), free_port()
    site, _notes = tried(Site.model_validate(WIDGET), folder, port, smtp)
    console.print("[bold]Company Widget[/bold]: starting a gateway, with scan workers in their jail ...")
    gateway = Playground(site)
    try:
        gateway.start()
    except StartError as error:
        fail(str(error))
    try:
        Mailbox(port, inbox.take).start()
        stopped = sum(_send(console, smtp, one) for one in _mails())
        inbox.wait_for_alert()
    finally:
        gateway.stop()
    _show(console, site)
    for alert in inbox.alerts[:1]:
        console.print("[bold]The administrator's mail[/bold], one an interval however many are stopped")
        body = alert.decode("ascii", "replace").partition("\r\n\r\n")[2]
        console.print("\n".join(f"  {printable(line)}" for line in body.splitlines()), markup=False, soft_wrap=True)
    return len(inbox.mails), stopped, _unscanned(site, inbox)


def _mails() -> list[Sent]:
    """The mails of the demo, in the order in which they are sent."""
    partner, bob, alice = "carol@partner.example", "bob@widget.example", "alice@widget.example"
    nested = _mail(partner, "someone@elsewhere.example", "the original")
    nested.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="tool.bin")
    forwarded = _mail(partner, bob, "Fwd: the original")
    forwarded.add_attachment(nested)
    return [
        Sent("a letter from a partner", STRANGER, _mail(partner, bob, "Meeting on Thursday")),
        Sent("a letter to a partner", WORKSTATION, _mail(alice, partner, "Our offer", ("offer.txt", b"100 widgets, 20 each\n"))),
        Sent("a virus in the letter itself", STRANGER, _mail(partner, bob, "Look at this", text=EICAR.decode())),
        Sent("a virus in a zip archive", STRANGER, _mail(partner, bob, "Your invoice", ("invoice.zip", _zip("invoice.txt", EICAR)))),
        Sent("a virus in a mail within a mail", STRANGER, forwarded),
        Sent("a virus on its way out", WORKSTATION, _mail(alice, partner, "Price list", ("prices.zip", _zip("prices.txt", EICAR)))),
        Sent("a program under another name", STRANGER, _mail(partner, bob, "Holiday photo", ("photo.jpg.exe", b"MZ" + bytes(200)))),
        Sent("another letter", STRANGER, _mail("dave@customer.example", alice, "Thank you", ("notes.zip", _zip("notes.txt", b"fine\n")))),
    ]


def _mail(
    sender: str, recipient: str, subject: str, file: tuple[str, bytes] | None = None, text: str = "Dear all,\n\nsee you.\n"
) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, subject
    mail.set_content(text)
    if file is not None:
        mail.add_attachment(file[1], maintype="application", subtype="octet-stream", filename=file[0])
    return mail


def _zip(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def _send(console: Console, port: int, sent: Sent) -> bool:
    """Send one mail as its host would; whether it was stopped."""
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.ehlo()
        client.docmd("XFORWARD", f"ADDR={sent.client} NAME=[UNAVAILABLE]")
        client.mail(sent.mail["From"])
        client.rcpt(sent.mail["To"])
        code, answer = client.data(sent.mail.as_bytes(policy=SMTP))
    text = answer.decode(errors="replace")
    stopped = code >= 400 or "kept" in text  # noqa: PLR2004 RFC 5321 4.2.1
    mark = "[red]stopped  [/red]" if stopped else "[green]delivered[/green]"
    console.print(f"  {mark}  {sent.what}")
    console.print(f"             {code} {printable(text)}", style="dim", markup=False, soft_wrap=True)
    return stopped


def _show(console: Console, site: Site) -> None:
    journal = SqliteJournal(Path(site.site.state) / "journal.sqlite")
    console.print("\n[bold]Journal[/bold] (gatepost log)")
    rows = journal.search(Query())
    console.print(table(rows[::-1]))
    infected = next(row for row in rows if row.verdict == "virus")
    console.print(f"\n[bold]One mail's whole way[/bold] (gatepost message {infected.id})")
    for line in plain(story(event for _number, event in journal.events(subject=infected.id))):
        console.print(f"  {printable(line)}", markup=False, soft_wrap=True)
    kept = [row for row in rows if row.kept]
    console.print(f"\n[bold]Quarantine[/bold]: {len(kept)} mails are kept, encrypted; the newest is {kept[0].id}")
    whole = journal.verify()
    console.print(f"[bold]Hash chain[/bold]: {whole.events} events, nothing was changed\n")
    journal.close()


def _unscanned(site: Site, inbox: Inbox) -> int:
    """How many delivered mails have no receipt of this gateway."""
    key = keys.public_receipts(Path(site.site.state) / "keys")
    count = 0
    for mail in inbox.mails:
        try:
            verify_receipt(BytesHeaderParser().parsebytes(mail).get(FIELD, ""), key)
        except ReceiptError:
            count += 1
    return count
