"""The front: takes mail by milter and SMTP, and knows nobody but the scan workers and the keeper.

What it does: wires the servers to the gate, sends a heartbeat, drains on SIGTERM: no new connection, mails under way are answered.
Not its job: binding the sockets (`gateway` does, so that a reload loses no connection), judging.
Raises: nothing once it serves.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.mail.receive.milter_connection import MilterSettings
from gatepost.mail.receive.milter_server import MilterServer
from gatepost.mail.receive.milter_session import MilterLimits
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_server import SmtpServer, tls_context
from gatepost.services.canary import Canaries
from gatepost.services.gate import Gate
from gatepost.services.keeper import Keeper, KeeperError, introduced
from gatepost.services.messages import Beat, Modes
from gatepost.services.outbox import Routes
from gatepost.services.recipients import known_recipients
from gatepost.services.scanners import Scanners
from gatepost.site.model import Site
from gatepost.system import manager

log = logging.getLogger(__name__)

HEARTBEAT = 2.0
"""Seconds between two heartbeats."""

DRAIN = 30.0
"""Seconds that mails under way have when the front stops."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """The listening sockets that processes inherit; None where the site does not listen. `metrics` is for `watchd`, `scan` for scan workers."""

    milter: socket.socket | None
    smtp: socket.socket | None
    metrics: socket.socket | None = None
    scan: socket.socket | None = None

    def all(self) -> tuple[socket.socket, ...]:
        """Those that there are."""
        return tuple(one for one in (self.milter, self.smtp, self.metrics, self.scan) if one is not None)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a front needs to know ours from forged: the public key of receipts and release tokens, the secret of canaries."""

    receipts: Ed25519PublicKey
    canaries: bytes


@dataclass(frozen=True, slots=True)
class Places:
    """The Unix sockets of scan workers and keeper, and the users of other processes than ours that may be scan workers."""

    scan: Path
    keep: Path
    workers: frozenset[int] = frozenset()


class _Front:
    def __init__(self, site: Site, sockets: Sockets, scanners: Scanners, keeper: Keeper, keys: Keys) -> None:
        self._sockets = sockets
        self._scanners = scanners
        self._keeper = keeper
        self._routes = Routes(site)
        known = known_recipients(site)
        self._gates = [
            Gate(site, scanners, keeper, keys.receipts, handed_on=handed_on, known=known, canaries=Canaries(keys.canaries))
            for handed_on in (True, False)
        ]
        self._milter = MilterServer(self._gates[0], MilterSettings(MilterLimits(message=site.mail.size_limit)))
        self._smtp = SmtpServer(
            self._gates[1],
            Features(socket.gethostname(), size=site.mail.size_limit, starttls=site.mail.smtp.tls.certificate is not None),
            next_hop=self._routes,
            trusted=tuple(ipaddress.ip_network(network) for network in site.mail.smtp.trusted),
            tls=tls(site),
            outcome=self._gates[1].outcome,
        )

    async def serve(self) -> None:
        """Take mail on all sockets."""
        if self._sockets.milter is not None:
            await self._milter.serve(self._sockets.milter)
        if self._sockets.smtp is not None:
            await self._smtp.serve(self._sockets.smtp)

    async def drain(self) -> None:
        """Answer what is under way and stop."""
        await asyncio.gather(self._milter.drain(DRAIN), self._smtp.drain(DRAIN))
        for gate in self._gates:
            await gate.drain()
        self._routes.close()

    async def beat(self) -> None:
        """Tell the keeper that we live, for ever."""
        while True:
            manager.alive()
            overloaded = sum(gate.overloaded for gate in self._gates)
            try:
                told = await self._keeper.ask(Beat(time.time(), self._scanners.workers, self._scanners.waiting, overloaded))
            except KeeperError as error:
                log.warning("the keeper does not hear us: %s", error)
            else:
                if isinstance(told, Modes):
                    self._heed(told)
            await asyncio.sleep(HEARTBEAT)

    def _heed(self, told: Modes) -> None:
        """Have the gates know which signatures are not believed alone."""
        modes = {(engine, name): mode for engine, name, mode in told.modes}
        for gate in self._gates:
            gate.modes = modes


def tls(site: Site) -> ssl.SSLContext | None:
    """The TLS of our SMTP listener, None without. Raises OSError, and ssl.SSLError among them, for files that are not what they should be."""
    files = site.mail.smtp.tls
    if files.certificate is None or files.key is None:
        return None
    for path in (files.certificate, files.key):
        Path(path).open("rb").close()  # the context's own error does not say which file it is
    return tls_context(Path(files.certificate), Path(files.key))


async def _serve(site: Site, sockets: Sockets, places: Places, keys: Keys) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    scanners, keeper = Scanners(places.scan, wall=site.mail.limits.wall, users=places.workers), Keeper(places.keep)
    scanners.listen(sockets.scan)
    front = _Front(site, sockets, scanners, keeper, keys)
    await front.serve()
    manager.ready()
    beating = asyncio.get_running_loop().create_task(front.beat())
    await stop.wait()
    beating.cancel()
    await front.drain()
    scanners.close()
    keeper.close()


def run(site: Site, sockets: Sockets, places: Places) -> None:
    """Be the front until SIGTERM, as soon as the keeper is there."""
    told = introduced(places.keep)
    keys = Keys(Ed25519PublicKey.from_public_bytes(told.receipts), told.canaries)
    uvloop.run(_serve(site, sockets, places, keys))
