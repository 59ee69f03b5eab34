"""Many mails at once without a running gateway: workers are forked, fed, and gone at the end.

What it does: gives each mail of a stream to a worker, several at a time, and starts a worker again that died.
Not its job: where the mails come from (`gatepost.cli.scan`), what happens to them.
Raises: `EngineError` when an engine of the site cannot be made; `OSError` when the machine cannot fork.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gatepost.mail.model import Direction, Envelope, Verdict
from gatepost.mail.receive.spool import Spool
from gatepost.services import confine, wiring
from gatepost.services.scanners import Scanners
from gatepost.site.model import Site

STRANGER = Envelope(sender="", recipients=())
"""The envelope of a mail that comes from a file: nobody knows who sent it to whom."""

Mail = tuple[str, bytes]
Report = Callable[[str, int, Verdict], None]


def scan_all(site: Site, mails: Iterable[Mail], report: Report, workers: int | None = None) -> None:
    """Look at every mail (`name`, `content`) and call `report(name, size, verdict)` for each, in the order in which they are done."""
    wiring.preload(site)
    wiring.scheduler(site).close()
    with tempfile.TemporaryDirectory(prefix="gatepost-scan-") as folder:
        batch = _Batch(site, Path(folder) / "scan.sock")
        try:
            asyncio.run(batch.run(iter(mails), report, workers or os.cpu_count() or 1))
        finally:
            batch.wait()


class _Batch:
    def __init__(self, site: Site, path: Path) -> None:
        self._site = site
        self._path = path
        self._pids: set[int] = set()

    async def run(self, mails: Iterator[Mail], report: Report, workers: int) -> None:
        scanners = Scanners(self._path, wall=self._site.mail.limits.wall)
        scanners.listen()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._replace)
        for _ in range(workers):
            self._fork()
        try:
            await asyncio.gather(*(self._feed(scanners, mails, report) for _ in range(workers * 2)))
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
            scanners.close()

    def wait(self) -> None:
        """Wait for the workers, who end when nobody listens to them any more."""
        for pid in self._pids:
            os.waitpid(pid, 0)

    async def _feed(self, scanners: Scanners, mails: Iterator[Mail], report: Report) -> None:
        for name, content in mails:
            with Spool() as spool:
                spool.write(content)
                verdict = await scanners.scan(STRANGER, spool, frozenset({Direction.INBOUND}))
            report(name, len(content), verdict)

    def _fork(self) -> None:
        pid = os.fork()
        if pid:
            self._pids.add(pid)
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            confine.worker(self._site, self._path, self._path.parent / str(os.getpid()))
            code = 0
        finally:
            os._exit(code)

    def _replace(self) -> None:
        """A worker ended: start another one."""
        for pid in tuple(self._pids):
            ended, _status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._pids.discard(pid)
                self._fork()
