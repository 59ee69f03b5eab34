"""The mail gateway as one command: keeper, front, scan workers and, where it is declared, the console under one supervisor.

What it does: binds the listening sockets, loads what workers share, forks everybody, reloads on SIGHUP without dropping a mail
(a bad site file changes nothing), drains on SIGTERM.
Not its job: what the processes do; units of systemd, which can run each of them alone.
Raises: `StartError` when it cannot start, with the remedy.
"""

from __future__ import annotations

import logging
import os
import resource
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.journal.interface import JournalError
from gatepost.journal.store import SqliteJournal
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.receive.milter_listen import ListenError, listen
from gatepost.services import confine, frontd, keeperd, keys, watchd, wiring
from gatepost.services.frontd import Keys, Sockets
from gatepost.services.keys import KeyFileError
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from gatepost.site.problem import SiteError
from gatepost.system.files import make_directory
from gatepost.system.supervise import Child, Supervisor

log = logging.getLogger(__name__)

DRAIN = 40.0
"""Seconds that all processes together have to finish."""

SECRET = 32
"""Bytes of the secret by which canaries are known; a new one at each start."""

METRICS_PORT = 9090

DESCRIPTORS = 1 << 16
"""Open files that one process may have, where the hard limit allows it."""


class StartError(Exception):
    """The gateway cannot start; the text says what to do."""


@dataclass(slots=True, eq=False)
class _Generation:
    """The processes that run with one state of the site file."""

    number: int
    site: Site
    front: Child
    watch: Child
    workers: list[Child]


class Gateway:
    """All processes of the mail gateway. `read` gives the site, now and again on SIGHUP; it raises SiteError."""

    def __init__(self, read: Callable[[], Site]) -> None:
        self._read = read
        site = read()
        _raise_descriptor_limit()
        self._run = Path(site.site.run)
        self._key = self._prepare(site)
        _check_journal(site)
        self._sockets = _bind(site)
        self._secret = secrets.token_bytes(SECRET)
        self._supervisor = Supervisor(self._reload)
        self._keeper = Child("keeper", lambda: keeperd.run(self._generation.site, self._keep))
        self._generation = self._make(1, site)

    @property
    def _keep(self) -> Path:
        return self._run / "keeper.sock"

    def _prepare(self, site: Site) -> Ed25519PublicKey:
        """Make the folders, load the engines, try the certificate and give the public key, or say what is wrong before anything runs."""
        try:
            make_directory(Path(site.site.state))
            make_directory(self._run, 0o755)
            make_directory(self._run / "scratch")
            wiring.preload(site)
            wiring.scheduler(site).close()
            frontd.tls(site)
            return keys.public_receipts(Path(site.site.state) / "keys")
        except (EngineError, KeyFileError) as error:
            raise StartError(str(error)) from None
        except ssl.SSLError as error:
            raise StartError(
                f"certificate or key of mail.smtp.tls cannot be used: {error.reason}; both must be PEM and belong together"
            ) from None
        except OSError as error:
            raise StartError(
                f"{error.filename}: {error.strerror}; give the user who runs this the right to it, or name another folder"
            ) from None

    def _make(self, number: int, site: Site) -> _Generation:
        scan = self._run / f"scan-{number}.sock"
        keys_of_front = Keys(self._key, self._secret)
        front = Child("front", lambda: frontd.run(site, self._sockets, scan, self._keep, keys_of_front))
        watch = Child("watch", lambda: watchd.run(site, self._sockets.metrics, self._keep, self._secret))
        count = site.mail.workers or os.cpu_count() or 1
        scratch = self._run / "scratch"
        workers = [Child(f"scan worker {one}", partial(confine.worker, site, scan, scratch / f"{number}-{one}")) for one in range(count)]
        return _Generation(number, site, front, watch, workers)

    def serve(self) -> None:
        """Run until SIGTERM or SIGINT."""
        self._supervisor.add(self._keeper)
        self._start(self._generation)
        if self._generation.site.console.listen:
            self._supervisor.add(Child("console", lambda: _console(self._generation.site)))
        log.info("serving %s with %d scan workers", self._generation.site.site.name, len(self._generation.workers))
        self._supervisor.serve(DRAIN)

    def _start(self, generation: _Generation) -> None:
        for worker in generation.workers:
            self._supervisor.add(worker)
        self._supervisor.add(generation.front)
        self._supervisor.add(generation.watch)

    def _reload(self) -> None:
        """Start a second generation beside the first, then let the first finish. Sockets and folders stay what they were."""
        try:
            site = self._read()
            self._prepare(site)
        except (SiteError, StartError) as error:
            log.error("not reloaded, the old configuration stays:\n%s", error)  # noqa: TRY400 the user's mistake, not ours
            return
        if _listeners(site) != _listeners(self._generation.site):
            log.warning("listening addresses and the folders state and run are taken over by a restart only, not by a reload")
        old, self._generation = self._generation, self._make(self._generation.number + 1, site)
        self._start(self._generation)
        self._supervisor.again(self._keeper)
        self._supervisor.retire(old.watch)
        self._supervisor.retire(old.front)
        for worker in old.workers:
            worker.restart = False
        log.info("reloaded %s", site.site.name)


def _check_journal(site: Site) -> None:
    """Open the journal as the keeper will, so that one that is damaged or gone is said here, once."""
    try:
        SqliteJournal(Path(site.site.state) / "journal.sqlite").close()
    except JournalError as error:
        raise StartError(str(error)) from None


def _raise_descriptor_limit() -> None:
    """Every connection and every mail under way takes descriptors; shells set the soft limit low for the sake of old programs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))


def _bind(site: Site) -> Sockets:
    try:
        milter = site.mail.milter
        name = milter.listen if milter.listen is None or milter.listen.startswith("unix:") else f"inet:{milter.listen}"
        first = listen(name, mode=int(milter.mode, 8), group=milter.group or None) if name else None
        return Sockets(first, _bind_tcp(site.mail.smtp.listen, 25), _bind_tcp(site.metrics.listen, METRICS_PORT))
    except ListenError as error:
        raise StartError(str(error)) from None


def _listeners(site: Site) -> tuple[object, ...]:
    """What a reload does not change."""
    return site.mail.milter, site.mail.smtp.listen, site.metrics.listen, site.site.state, site.site.run


def _bind_tcp(written: str | None, port: int) -> socket.socket | None:
    if not written:
        return None
    endpoint = parse_endpoint(written, port)
    kind = "inet6" if ":" in endpoint.host else "inet"
    return listen(f"{kind}:{endpoint.host}:{endpoint.port}")


def _console(site: Site) -> None:
    """The console's life. Its packages are an extra, so they are loaded only where a console is declared."""
    consoled = import_module("gatepost.services.consoled")
    consoled.run(site)
