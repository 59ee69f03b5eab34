"""The console's process: serves the screens, reads the journal, asks the keeper to act.

What it does: puts the console together from a site, listens, and gives its process to uvicorn.
Not its job: writing the journal or the quarantine; the keeper alone does.
Raises: `ConsoleError` when it cannot start, with the remedy.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from gatepost.console.accounts import Accounts
from gatepost.console.app import application
from gatepost.console.database import Database
from gatepost.console.desk import DeskError, Forecast, Light
from gatepost.console.sessions import Sessions
from gatepost.console.visit import Console
from gatepost.journal.interface import JournalError
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act.contents import Contents
from gatepost.mail.act.deliver import succeeded
from gatepost.services import keys
from gatepost.services.health import judge
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.keys import KeyFileError
from gatepost.services.messages import Answer, Delete, Foresee, Foreseen, Health, Look, Note, Post, Release, Request
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site

log = logging.getLogger(__name__)


class ConsoleError(Exception):
    """The console cannot start; the text says what to do."""


class KeeperDesk:
    """The keeper, as the console sees it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def release(self, identifier: str, recipient: str, by: str) -> None:
        """Deliver a kept mail to one of its recipients."""
        self._ask(Release(identifier, recipient, by))

    def delete(self, identifier: str, recipient: str, by: str) -> None:
        """Delete a kept mail for one of its recipients."""
        self._ask(Delete(identifier, recipient, by))

    def forecast(self, identifier: str, recipient: str, *, probe: bool = True) -> Forecast:
        """What a release would do."""
        seen = self._ask(Foresee(identifier, recipient, probe))
        assert isinstance(seen, Foreseen)
        reply, to = seen.reply, seen.envelope.recipients[0]
        answer = f"{reply.code} {reply.status} {reply.text}".strip() if reply else ""
        taken = reply is not None and succeeded(reply)
        return Forecast(seen.envelope.sender, to, seen.digest, seen.size, seen.next_hop, answer, taken, seen.others)

    def tell(self, kind: str, subject: str, data: dict[str, object]) -> None:
        """Have something written into the journal."""
        self._ask(Note(kind, subject, data))

    def post(self, recipient: str, content: bytes) -> None:
        """Send a mail of our own."""
        self._ask(Post(recipient, content))

    def light(self) -> Light:
        """How the gateway is now."""
        try:
            health = self._ask(Look())
        except DeskError as error:
            return Light(well=False, sentence=str(error))
        assert isinstance(health, Health)
        sentence, well = judge(health, time.time())
        beat = health.beat
        return Light(well, sentence, beat.workers, beat.waiting, beat.overloaded) if beat else Light(well, sentence)

    def _ask(self, request: Request) -> Answer:
        try:
            return ask_once(self._path, request)
        except KeeperError as error:
            raise DeskError(str(error)) from None
        except OSError:
            raise DeskError("The mail gateway does not run; start it with gatepost mail serve.") from None


def database(site: Site) -> Database:
    """The console's own file."""
    path = Path(site.site.state) / "console.sqlite"
    try:
        return Database(path)
    except (sqlite3.Error, OSError) as error:
        raise ConsoleError(f"{path}: {error}; give the user who runs this the right to it") from None


def console(site: Site, now: Callable[[], float] = time.time) -> Console:
    """The console of a site, ready to be served."""
    state = Path(site.site.state)
    try:
        key = keys.secret(state / "keys", "quarantine") if site.quarantine.encrypt else None
        journal = SqliteJournal(state / "journal.sqlite", writes=False)
    except (KeyFileError, JournalError) as error:
        raise ConsoleError(str(error)) from None
    own = database(site)
    sessions = Sessions(own, now, site.console.idle, site.console.longest)
    desk = KeeperDesk(Path(site.site.run) / "keeper.sock")
    return Console(site, journal, Contents(state / "quarantine", key), desk, Accounts(own, now), sessions, now)


def hosts(site: Site) -> tuple[str, ...]:
    """The names under which people may ask for the console."""
    endpoint = parse_endpoint(site.console.listen or "127.0.0.1:8080", 8080)
    named = urlsplit(site.console.url).hostname
    return tuple(dict.fromkeys([endpoint.host, "localhost", *([named] if named else [])]))


def address(site: Site) -> str:
    """How people reach the console, for links."""
    return site.console.url or f"http://{site.console.listen}"


def run(site: Site) -> None:
    """Serve until SIGTERM."""
    endpoint = parse_endpoint(site.console.listen or "", 8080)
    config = uvicorn.Config(
        application(console(site), hosts(site)),
        host=endpoint.host,
        port=endpoint.port,
        ssl_certfile=site.console.certificate,
        ssl_keyfile=site.console.key,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=200,
        timeout_keep_alive=15,
    )
    log.info("the console is at %s", address(site))
    uvicorn.Server(config).run()
