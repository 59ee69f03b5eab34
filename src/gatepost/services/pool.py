"""The scan workers: all of them forked from one parent that has loaded what they share.

What it does: makes the workers of a site, for the gateway's supervisor and for a service of their own; that service takes new signatures
and a new site file over on SIGHUP: fresh workers first, then the old ones finish their mail and go.
Not its job: the life of a worker (`confine`), keeping it alive (`gatepost.system.supervise`).
Raises: `EngineError` when an engine of the site cannot be made; `OSError` when the machine cannot fork.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gatepost.mail.inspect.engine import EngineError
from gatepost.services import confine, wiring
from gatepost.services.scanners import PATIENCE
from gatepost.services.stopwatch import Stopwatch
from gatepost.site.model import Site
from gatepost.site.problem import SiteError
from gatepost.system import manager
from gatepost.system.accounts import Account
from gatepost.system.supervise import Child, Supervisor

log = logging.getLogger(__name__)

DRAIN = 30.0
"""Seconds that mails under way have when the workers stop."""


def workers(site: Site, scan: Path, scratch: Path, number: int, account: Account | None = None) -> list[Child]:
    """The workers of one state of the site file, who connect to the front at `scan`; `number` tells their folders from those of others."""
    return [_worker(site, scan, scratch / f"{number}-{one}", f"scan worker {one}", account) for one in range(count(site))]


def count(site: Site) -> int:
    """How many workers a site has."""
    return site.mail.scan_workers(os.cpu_count() or 1)


def _worker(site: Site, scan: Path, scratch: Path, name: str, account: Account | None) -> Child:
    watch = Stopwatch(site.mail.limits.wall + PATIENCE)
    return Child(name, partial(confine.worker, site, scan, scratch, watch), account, watch.over)


class Pool:
    """The scan workers as a service of their own. `read` gives the site, now and again on SIGHUP; it raises SiteError."""

    def __init__(self, read: Callable[[], Site]) -> None:
        self._read = read
        self._supervisor = Supervisor(self._reload, on_look=manager.alive)
        self._number = 0
        self._workers: list[Child] = []

    def serve(self) -> None:
        """Run until SIGTERM. Raises SiteError, EngineError when it cannot start."""
        self._start(self._loaded())
        manager.ready()
        self._supervisor.serve(DRAIN)

    def _loaded(self) -> Site:
        site = self._read()
        wiring.preload(site)
        wiring.scheduler(site).close()
        return site

    def _start(self, site: Site) -> None:
        self._number += 1
        run = Path(site.site.run)
        self._workers = workers(site, run / "scan.sock", run / "scratch", self._number)
        for worker in self._workers:
            self._supervisor.add(worker)

    def _reload(self) -> None:
        try:
            site = self._loaded()
        except (SiteError, EngineError) as error:
            log.error("not reloaded, the old workers stay:\n%s", error)  # noqa: TRY400 the user's mistake, not ours
            return
        old = self._workers
        self._start(site)
        for worker in old:
            self._supervisor.retire(worker)
        log.info("%d fresh scan workers", len(self._workers))
