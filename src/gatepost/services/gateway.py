"""The mail gateway as one command: keeper, front, scan workers and, where it is declared, the console under one supervisor.

What it does: binds the listening sockets, loads what workers share, forks everybody, reloads on SIGHUP without dropping a mail
(a bad site file changes nothing), drains on SIGTERM.
Started as root it gives each process its own user, where this machine has them (`gatepost.deploy.units.people`).
Not its job: what the processes do; running one of them alone for a service manager (`alone`).
Raises: `StartError` when it cannot start, with the remedy.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import gatepost
from gatepost.deploy import storage
from gatepost.deploy.units.people import COMMON, Folder, Staff, folders
from gatepost.journal.interface import JournalError
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.receive.milter_listen import ListenError, listen
from gatepost.services import frontd, keeperd, keys, pool, watchd, wiring
from gatepost.services.frontd import Places, Sockets
from gatepost.services.keys import KeyFileError
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from gatepost.site.problem import SiteError
from gatepost.system.accounts import tried
from gatepost.system.files import make_directory
from gatepost.system.sockets import listen_unix
from gatepost.system.supervise import Child, Supervisor

log = logging.getLogger(__name__)

PROGRAM = (Path(gatepost.__file__).parent, Path(sys.prefix))
"""Where the program stands, and the packages it uses."""

DRAIN = 40.0
"""Seconds that all processes together have to finish."""

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
    """All processes of the mail gateway. `read` gives the site, now and again on SIGHUP; it raises SiteError.

    `staff` has the user of each process; where it is empty all run as the user who starts this.
    """

    def __init__(self, read: Callable[[], Site], staff: Staff | None = None) -> None:
        self._read = read
        self._staff = staff or {}
        self._scans: list[socket.socket] = []
        site = read()
        _raise_descriptor_limit()
        self._run = Path(site.site.run)
        self._prepare(site)
        if said := tried(self._staff.get("keeper"), partial(_try_journal, site)):
            raise StartError(said)
        self._sockets = _bind(site)
        self._keep = listen_unix(self._run / "keeper.sock", owner=self._owner("keeper", "keeper"))
        self._supervisor = Supervisor(self._reload)
        self._keeper = self._child("keeper", lambda: keeperd.run(self._generation.site, self._keep, self._staff), self._keep)
        self._generation = self._make(1, site)

    def _owner(self, user: str, group: str) -> tuple[int, int] | None:
        return (self._staff[user].uid, self._staff[group].gid) if self._staff else None

    def _child(self, name: str, run: Callable[[], None], *needed: socket.socket | None) -> Child:
        """A process that has no other listening socket than those it needs."""

        def alone() -> None:
            for one in (self._keep, *self._sockets.all(), *self._scans):
                if one not in needed:
                    one.close()
            run()

        return Child(name, alone, self._staff.get(name))

    def _prepare(self, site: Site) -> None:
        """Make the folders, load the engines, try certificate, keys and journal, or say what is wrong before anything runs."""
        try:
            self._make_folders(site)
            wiring.preload(site)
            wiring.scheduler(site).close()
        except EngineError as error:
            raise StartError(str(error)) from None
        except OSError as error:
            raise StartError(_denied(error)) from None
        for process, attempt in (("scan", _try_program), ("front", _try_certificate), ("keeper", _try_keys)):
            if said := tried(self._staff.get(process), partial(attempt, site)):
                raise StartError(said)

    def _make_folders(self, site: Site) -> None:
        if not self._staff:
            make_directory(Path(site.site.state))
            make_directory(self._run, 0o755)
            make_directory(self._run / "scratch")
            return
        for folder in folders(site):
            path = Path(folder.path)
            make_directory(path, 0o755)
            os.chown(path, *_numbers(folder, self._staff))
            path.chmod(folder.mode)

    def _make(self, number: int, site: Site) -> _Generation:
        scan = self._run / f"scan-{number}.sock"
        listener = listen_unix(scan, owner=self._owner("front", "scan"))
        self._scans.append(listener)
        sockets = replace(self._sockets, scan=listener)
        users = frozenset({self._staff["scan"].uid}) if self._staff else frozenset()
        places = Places(scan, self._run / "keeper.sock", users)
        front = self._child("front", lambda: frontd.run(site, sockets, places), *(sockets.milter, sockets.smtp, listener))
        watch = self._child("watch", lambda: watchd.run(site, sockets.metrics, places.keep), sockets.metrics)
        workers = pool.workers(site, scan, self._run / "scratch", number, self._staff.get("scan"))
        for worker in workers:
            worker.run = self._child("scan", worker.run).run
        return _Generation(number, site, front, watch, workers)

    def serve(self) -> None:
        """Run until SIGTERM or SIGINT."""
        self._supervisor.add(self._keeper)
        self._start(self._generation)
        if self._generation.site.console.listen:
            self._supervisor.add(self._child("console", lambda: _console(self._generation.site)))
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
        self._scans.pop(0).close()
        log.info("reloaded %s", site.site.name)


def _numbers(folder: Folder, staff: Staff) -> tuple[int, int]:
    """User and group of a folder; the group of the keeper's files is the one that all share."""
    users = {f"gatepost-{process}": account for process, account in staff.items()}
    uid = users[folder.user].uid if folder.user in users else 0
    if folder.group == COMMON:
        return uid, staff["keeper"].gid
    return uid, users[folder.group].own if folder.group in users else 0


def _denied(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}; give the user who runs this the right to it, or name another folder"


def _try_program(_site: Site) -> str:
    """What keeps scan workers from the program itself, which names their engines."""
    for path in PROGRAM:
        if not os.access(path, os.R_OK | os.X_OK):
            return f"{path} may not be read by the user of the scan workers; install Gatepost where it may, or start it with --one-user"
    return ""


def _try_certificate(site: Site) -> str:
    """What keeps the front from its certificate, "" when nothing does."""
    try:
        frontd.tls(site)
    except ssl.SSLError as error:
        return f"certificate or key of mail.smtp.tls cannot be used: {error.reason}; both must be PEM and belong together"
    except OSError as error:
        return _denied(error)
    return ""


def _try_keys(site: Site) -> str:
    """What keeps the keeper from its keys."""
    try:
        keys.receipts(Path(site.site.state) / "keys")
    except KeyFileError as error:
        return str(error)
    except OSError as error:
        return _denied(error)
    return ""


def _try_journal(site: Site) -> str:
    """What keeps the keeper from its journal; opened as the keeper will, so that one that is damaged or gone is said here, once."""
    mask = os.umask(keeperd.UMASK)
    try:
        storage.journal(site, writes=True).close()
    except JournalError as error:
        return str(error)
    finally:
        os.umask(mask)
    return ""


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
