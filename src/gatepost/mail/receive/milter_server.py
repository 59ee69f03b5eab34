"""The milter server: takes connections of MTAs on any number of sockets, and lets go of them in good order.

What it does: one `MilterConnection` for each MTA that connects; cuts off those that have fallen silent; drains.
Not its job: mails (`milter_connection`), binding sockets (`milter_listen`), processes and signals (`gatepost.services`).
Raises: nothing.

An MTA must be set to defer mail when this server is away or cuts it off: Postfix `milter_default_action = tempfail`, Sendmail `F=T`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket

from gatepost.mail.receive.handler import Handler
from gatepost.mail.receive.milter_connection import MilterConnection, MilterSettings, Pool

_SWEEPS_PER_IDLE = 4


class MilterServer:
    """Serves any number of listening sockets with one handler."""

    def __init__(self, handler: Handler, settings: MilterSettings | None = None) -> None:
        self.pool = Pool(handler, settings or MilterSettings())
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def serve(self, listener: socket.socket) -> None:
        """Start taking connections from `listener`, which is closed with the server; returns at once."""
        loop = asyncio.get_running_loop()
        protocol = functools.partial(MilterConnection, self.pool, loop)
        if listener.family == socket.AF_UNIX:
            self._servers.append(await loop.create_unix_server(protocol, sock=listener))
        else:
            self._servers.append(await loop.create_server(protocol, sock=listener))
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep(loop))

    async def drain(self, seconds: float) -> None:
        """Take no new connection, let mails under way be answered within `seconds`, then close what is left."""
        self._stop_listening()
        for connection in tuple(self.pool.connections):
            connection.finish()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.pool.wait_empty(), seconds)
        await self.close()

    async def close(self) -> None:
        """Close everything now; the MTAs keep the mails that were not answered."""
        self._stop_listening()
        for connection in tuple(self.pool.connections):
            connection.cut()
        await self.pool.wait_empty()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        idle = self.pool.settings.idle
        while True:
            await asyncio.sleep(idle / _SWEEPS_PER_IDLE)
            for connection in tuple(self.pool.connections):
                if loop.time() - connection.seen > idle:
                    connection.cut()
