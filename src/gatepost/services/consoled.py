"""The console's process: serves the screens, reads the journal, asks the keeper to act.

What it does: puts the console together from a site, listens, and gives its process to uvicorn.
Not its job: writing the journal or the quarantine; the keeper alone does.
Raises: `ConsoleError` when it cannot start, with the remedy.
"""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from gatepost.console.accounts import Accounts
from gatepost.console.app import application
from gatepost.console.database import Database
from gatepost.console.desk import DeskError, Forecast, Hit, Light, Provider
from gatepost.console.digest import Rounds
from gatepost.console.passkeys import Passkeys
from gatepost.console.sessions import Sessions
from gatepost.console.visit import Console
from gatepost.deploy import storage
from gatepost.firewall import nft
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy
from gatepost.firewall.reading import read_ruleset
from gatepost.firewall.ruleset import Ruleset
from gatepost.integrity.accept import AcceptError, Choice, accept
from gatepost.integrity.chain import ChainError
from gatepost.integrity.changes import ChangesError
from gatepost.integrity.entry import path_of, shown
from gatepost.integrity.state import State, StateError
from gatepost.journal.interface import JournalError
from gatepost.mail.act.contents import ContentError
from gatepost.mail.act.deliver import succeeded
from gatepost.services import watchd
from gatepost.services.health import judge
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import (
    Answer,
    Delete,
    Fetch,
    Foresee,
    Foreseen,
    Health,
    Kept,
    Look,
    Note,
    Post,
    Rates,
    Redo,
    Release,
    Request,
    Signatures,
    Undo,
    Undone,
)
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from gatepost.system import manager
from gatepost.system.files import make_directory

log = logging.getLogger(__name__)

TICKS = 100
"""Between two signs of life for the service manager; uvicorn has ten ticks a second."""


ROUND = 30.0
"""Seconds between two looks whether somebody is to be told what is held."""


class ConsoleError(Exception):
    """The console cannot start; the text says what to do."""


class KeeperDesk:
    """The keeper, and what else the console has done, as it sees them."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._path = Path(site.site.run) / "keeper.sock"

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

    def hits(self) -> tuple[Hit, ...]:
        """Every signature that stood alone lately, or is braked or undone."""
        told = self._ask(Rates())
        assert isinstance(told, Signatures)
        return tuple(Hit(one.engine, one.name, one.hits, one.mails, one.usual, one.mode) for one in told.hits)

    def undo(self, engine: str, name: str, by: str) -> tuple[int, tuple[str, ...]]:
        """Let a signature not count any more."""
        done = self._ask(Undo(engine, name, by))
        assert isinstance(done, Undone)
        return done.released, done.failed

    def redo(self, engine: str, name: str, by: str) -> None:
        """Let a signature count again."""
        self._ask(Redo(engine, name, by))

    def ages(self) -> Mapping[str, float]:
        """Seconds since the signatures of each engine and set were made."""
        return watchd.ages(self._site, time.time())

    def ruleset(self, policy: Policy) -> Ruleset:
        """The rules written for this policy, loaded into a network of their own and listed."""
        try:
            return read_ruleset(nft.rehearse(reload_text(compile_policy(policy), ())))
        except nft.NftError as error:
            raise DeskError(f"The rules cannot be tried out here ({error}); ask on the firewall itself: gatepost firewall ask") from None

    def accept(self, numbers: frozenset[int], by: str, why: str) -> list[str]:
        """Accept findings of the newest integrity report."""
        section = self._site.integrity
        state = State(Path(self._site.site.state) / "integrity", section.signer, section.strict)
        if section.strict:
            raise DeskError("This site has acceptances signed with a key that is not kept here: gatepost integrity accept --key FILE")
        try:
            chosen = accept(state, Path("/"), Choice(items=numbers), by, why, state.host_key(), time.time())
        except (AcceptError, ChainError, ChangesError, StateError, KeyError) as error:
            raise DeskError(str(error)) from None
        except OSError as error:
            raise DeskError(f"{error.filename}: {error.strerror}; accept on the host itself: gatepost integrity accept") from None
        return [shown(path_of(change.key)) for change in chosen]

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
    path = Path(site.site.state) / "console" / "console.sqlite"
    try:
        make_directory(path.parent)
        made = Database(path)
        folder = path.parent.stat()
        if not os.geteuid():
            for one in path.parent.glob(f"{path.name}*"):
                os.chown(one, folder.st_uid, folder.st_gid)  # root may be the first here: gatepost console user add
    except (sqlite3.Error, OSError) as error:
        raise ConsoleError(f"{path}: {error}; give the user who runs this the right to it") from None
    return made


class KeptContents:
    """The contents of held mail, which the keeper alone can read."""

    def __init__(self, keep: Path) -> None:
        self._keep = keep

    def get(self, digest: str) -> bytes:
        """The bytes whose SHA-256 is `digest`. Raises ContentError."""
        try:
            given = ask_once(self._keep, Fetch(digest))
        except (KeeperError, OSError) as error:
            raise ContentError(str(error)) from None
        assert isinstance(given, Kept)
        return given.content


def console(site: Site, now: Callable[[], float] = time.time) -> Console:
    """The console of a site, ready to be served."""
    try:
        journal = storage.journal(site)
    except JournalError as error:
        raise ConsoleError(str(error)) from None
    own = database(site)
    sessions = Sessions(own, now, site.console.idle, site.console.longest)
    desk = KeeperDesk(site)
    passkeys = Passkeys(own, sessions, now, site.site.name)
    contents = KeptContents(Path(site.site.run) / "keeper.sock")
    return Console(site, journal, contents, desk, Accounts(own, now), sessions, now, passkeys, _provider(site, sessions, now))


def _provider(site: Site, sessions: Sessions, now: Callable[[], float]) -> Provider | None:
    """The provider for logins, where one is declared."""
    oidc = site.console.oidc
    if not oidc.issuer:
        return None
    try:
        secret = Path(oidc.secret).read_text(encoding="utf-8").strip() if oidc.secret else ""
        made = import_module("gatepost.console.oidc").OidcProvider
    except OSError as error:
        raise ConsoleError(f"{oidc.secret}: {error.strerror}; it holds the secret of [console.oidc]") from None
    except ImportError:
        raise ConsoleError("logins at a provider need one more package; install gatepost[oidc]") from None
    provider: Provider = made(oidc.issuer, oidc.client, secret, oidc.claim, sessions, now)
    return provider


def hosts(site: Site) -> tuple[str, ...]:
    """The names under which people may ask for the console."""
    endpoint = parse_endpoint(site.console.listen or "127.0.0.1:8080", 8080)
    named = urlsplit(site.console.url).hostname
    return tuple(dict.fromkeys([endpoint.host, "localhost", *([named] if named else [])]))


def address(site: Site) -> str:
    """How people reach the console, for links."""
    return site.console.url or f"http://{site.console.listen}"


class _Server(uvicorn.Server):
    """Tells the service manager that it serves, and that it lives."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        manager.ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            manager.alive()
        return await super().on_tick(counter)


def _tell(rounds: Rounds) -> None:
    """Tell recipients what is held for them, whenever it is time, for ever."""
    while True:
        try:
            rounds.go()
        except (DeskError, JournalError, sqlite3.Error) as error:
            log.warning("no digests now: %s", error)
        time.sleep(ROUND)


def run(site: Site) -> None:
    """Serve until SIGTERM."""
    made = console(site)
    if site.console.digest:
        threading.Thread(target=_tell, args=(Rounds(made, database(site), address(site)),), daemon=True).start()
    endpoint = parse_endpoint(site.console.listen or "", 8080)
    config = uvicorn.Config(
        application(made, hosts(site)),
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
    _Server(config).run()
