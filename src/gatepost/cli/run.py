"""`gatepost run`: the whole mail gateway of a site on this machine, for a first try."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gatepost.cli.common import SITE, SiteOption, fail, printable, site_of
from gatepost.mail.model import Envelope
from gatepost.services.gateway import StartError
from gatepost.services.playground import Mailbox, Playground, free_port, tried
from gatepost.site.model import Site
from gatepost.system import logs

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    site: SiteOption = SITE,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is kept.")] = Path(".run"),
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1 that takes mail.")] = 10025,
    console_port: Annotated[int, typer.Option("--console", help="Port of 127.0.0.1 for the web console; 0 for none.")] = 8080,
) -> None:
    """Run the mail gateway of a site here, for a first try: a mailbox stands in for the mail server. Ends with Ctrl-C.

    Example:

        gatepost run --site examples/widget/site.toml
    """
    console = Console(highlight=False, soft_wrap=True)
    home = folder.resolve()
    inbox = free_port()
    chosen, notes = tried(site_of(site), home, inbox, port, console_port if _has_console() else 0)
    for note in notes:
        console.print(f"  {note}", markup=False)
    logs.to_stderr()
    gateway = Playground(chosen)
    try:
        gateway.start()
    except StartError as error:
        fail(str(error))
    Mailbox(inbox, _tell).start()
    console.print(f"\n[bold]{chosen.site.name}[/bold] takes mail on 127.0.0.1:{port}; try, in another terminal:\n")
    console.print(f"  swaks --server 127.0.0.1:{port} --from you@partner.example --to bob@{chosen.mail.domains[0]}\n", markup=False)
    if chosen.console.listen:
        console.print(f"  {_console_link(chosen)}   the console; this link logs in once\n", markup=False)
    elif console_port:
        console.print("  the console is left out: install gatepost[console]\n", markup=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        gateway.wait()
    except KeyboardInterrupt:
        gateway.stop()


def _has_console() -> bool:
    """Whether the packages of the console are here; they are an extra."""
    return all(find_spec(name) for name in ("argon2", "jinja2", "multipart", "pyotp", "starlette", "uvicorn", "webauthn"))


def _console_link(site: Site) -> str:
    """An address that logs in the administrator of a tried site, whose account is made when it is not there."""
    console = import_module("gatepost.cli.console")
    return str(console.first_link(site))


def _tell(envelope: Envelope, content: bytes) -> None:
    sys.stdout.write(f"delivered: {printable(envelope.sender)} to {printable(', '.join(envelope.recipients))}, {len(content)} bytes\n")
    sys.stdout.flush()
