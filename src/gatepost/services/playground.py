"""A site tried out on one machine: state in a folder of its own, a mailbox server that takes what is delivered, only engines that are here.

What it does: changes a site so that nothing outside the folder and the loopback is touched, and says what it changed.
Not its job: production; nothing here is used by `gatepost mail serve`.
Raises: `OSError` when the folder or a port cannot be had.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gatepost.mail.model import Answer, Envelope, Reply
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_server import ServerLimits, SmtpServer
from gatepost.mail.receive.spool import Spool
from gatepost.services.gateway import Gateway, StartError
from gatepost.site.base import parse_endpoint
from gatepost.site.console import Console
from gatepost.site.mail import Engine, Recipients
from gatepost.site.model import Site

START, PAUSE = 30.0, 0.05
"""Seconds that a gateway may take to start, and between two looks."""

Delivered = Callable[[Envelope, bytes], None]


class Mailbox:
    """Stands in for the internal mail server: takes every mail on a port of 127.0.0.1 and calls `delivered`, in a thread of its own."""

    def __init__(self, port: int, delivered: Delivered) -> None:
        self.port = port
        self._delivered = delivered
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mailbox", daemon=True)
        self._server = SmtpServer(self, Features("mailbox.invalid", size=1 << 30), ServerLimits(trace=False))

    def start(self) -> None:
        """Listen. A thread starts, so whoever wants to fork does it before."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.listen("127.0.0.1", self.port), self._loop).result()

    async def recipient(self, _envelope: Envelope, _recipient: str) -> Reply | None:
        """Everybody lives here."""
        return None

    async def message(self, envelope: Envelope, spool: Spool) -> Answer:
        """Take the mail."""
        self._delivered(envelope, bytes(spool.view()))
        return Answer(Reply(250, "2.0.0", "taken"), envelope.recipients)


class Playground:
    """The gateway of a tried site in a process of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._pid = 0

    def start(self) -> None:
        """Start it, and return when it takes mail. Raises StartError when it does not start."""
        self._pid = os.fork()
        if not self._pid:
            self._be()
        endpoint = parse_endpoint(self.site.mail.smtp.listen or "", 25)
        end = time.monotonic() + START
        while not _answers(endpoint.host, endpoint.port):
            if os.waitpid(self._pid, os.WNOHANG)[0] or time.monotonic() > end:
                raise StartError("the gateway did not start; what it said stands above")
            time.sleep(PAUSE)

    def _be(self) -> None:
        code = 2
        try:
            Gateway(lambda: self.site).serve()
            code = 0
        except StartError as error:
            sys.stderr.write(f"{error}\n")
        finally:
            os._exit(code)

    def wait(self) -> None:
        """Wait until it ends."""
        os.waitpid(self._pid, 0)

    def stop(self) -> None:
        """Let it finish its mails, and end."""
        os.kill(self._pid, signal.SIGTERM)
        self.wait()


def _answers(host: str, port: int) -> bool:
    """Whether somebody greets there: only then everything behind the listener is up."""
    try:
        with socket.create_connection((host, port), timeout=1) as sock:
            return sock.recv(4).startswith(b"220")
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def tried(site: Site, folder: Path, next_hop: int, smtp: int, console: int = 0) -> tuple[Site, list[str]]:
    """The site as it runs here, and what differs from what it declares, a sentence each. `console` is its port, 0 for none."""
    mail = site.mail.model_copy(
        update={
            "next_hop": f"127.0.0.1:{next_hop}",
            "outbound": None,
            "routes": {},
            "recipients": Recipients(verify="none"),
            "smtp": site.mail.smtp.model_copy(update={"listen": f"127.0.0.1:{smtp}", "next_hop": None}),
            "milter": site.mail.milter.model_copy(update={"listen": f"unix:{folder / 'milter.sock'}", "group": ""}),
        }
    )
    about = site.site.model_copy(update={"state": str(folder / "state"), "run": str(folder / "run")})
    engines = {name: engine.model_copy(update={"enabled": engine.enabled and _is_here(engine)}) for name, engine in site.engines.items()}
    notes = [f"mail is delivered to a mailbox here instead of {site.mail.next_hop}"]
    notes += [
        f"engine {name} is left out: {engine.options['socket']} is not here"
        for name, engine in site.engines.items()
        if not _is_here(engine)
    ]
    return site.model_copy(update={"site": about, "mail": mail, "engines": engines, "console": _console(site, console)}), notes


def _console(site: Site, port: int) -> Console:
    """The console on the loopback, where it needs no certificate."""
    listen = f"127.0.0.1:{port}" if port else None
    return site.console.model_copy(update={"listen": listen, "url": "", "certificate": None, "key": None})


def _is_here(engine: Engine) -> bool:
    """Whether the daemon that an engine asks by a Unix socket has made it."""
    path = str(engine.options.get("socket", ""))
    return not path.startswith("unix:") or Path(path.removeprefix("unix:")).exists()
