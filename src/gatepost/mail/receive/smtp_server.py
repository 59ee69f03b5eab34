"""The SMTP and LMTP server: listeners, limits over all connections, time limits, TLS, and a stop that loses nothing.

One server is the before-queue proxy (Postfix `smtpd_proxy_filter`, or the site's own listener) and the content filter alike: mail comes in, is judged,
and goes to the next hop, whose answer is ours. As a content filter the next hop is the port where the MTA takes its mail back, and the MTA
is a trusted peer, so that its XFORWARD attributes go along.
Not its job: the dialogue (`smtp_protocol`), one connection (`smtp_session`).
Raises: `OSError` when it cannot listen.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gatepost.mail.act.deliver import NextHop
from gatepost.mail.model import Answer, Envelope, Reply
from gatepost.mail.receive.handler import Handler
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_session import SmtpSession

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Outcome = Callable[[Envelope, Answer, Mapping[str, Reply]], Awaitable[None]]

SWEEP = 1.0  # seconds between looks at the deadlines
BUSY = 0.8  # share of `connections` above which patience is short
_STOPPING = Reply(421, "4.3.2", "we are about to stop, try again later")
_FULL = Reply(421, "4.7.0", "too many connections, try again later")
_IDLE = Reply(421, "4.4.2", "you took too long, closing")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits over all connections, and time limits in seconds.

    `per_client` counts open connections and `per_minute` new ones from one IPv4 address or IPv6 /64; 0 is no limit, and trusted peers have none.
    `idle` is the longest wait for the next command (RFC 5321 4.5.3.2.7: at least five minutes) and `busy` the one under load; `slowest` the octets
    a second below which a mail runs out of time; `greeting_delay` makes those talk first who do not listen; `trace` adds a Received field.
    """

    connections: int = 4000
    per_client: int = 50
    per_minute: int = 0
    idle: float = 300.0
    busy: float = 20.0
    slowest: float = 500.0
    handshake: float = 30.0
    greeting_delay: float = 0.0
    trace: bool = True


@dataclass(slots=True)
class _Minute:
    began: float = 0.0
    count: Counter[str] = field(default_factory=Counter)


class SmtpServer:
    """Takes mail for `handler` and hands it on to `next_hop`; without one, the handler's answer is the end of it.

    `trusted` peers may use XFORWARD and XCLIENT. `outcome` is told what became of each mail before it is answered. `tls` may be
    replaced at any time; connections that are open keep what they have.
    """

    def __init__(
        self,
        handler: Handler,
        features: Features,
        limits: ServerLimits = ServerLimits(),
        *,
        next_hop: NextHop | None = None,
        trusted: tuple[Network, ...] = (),
        tls: ssl.SSLContext | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.next_hop = next_hop
        self.tls = tls
        self.outcome = outcome
        self.draining = False
        self._features = features
        self._trusted = trusted
        self._sessions: set[SmtpSession] = set()
        self._open: Counter[str] = Counter()
        self._minute = _Minute()
        self._listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def hostname(self) -> str:
        """What the server calls itself."""
        return self._features.hostname

    @property
    def lmtp(self) -> bool:
        """Whether it speaks LMTP."""
        return self._features.lmtp

    @property
    def sessions(self) -> int:
        """How many connections are open."""
        return len(self._sessions)

    # Running.

    async def listen(self, host: str, port: int) -> int:
        """Listen on an address, or on a Unix socket when `host` begins with "/"; returns the port."""
        loop = asyncio.get_running_loop()
        if host.startswith("/"):
            Path(host).unlink(missing_ok=True)  # noqa: ASYNC240 - once, at start
            self._listeners.append(await loop.create_unix_server(self._session, host, backlog=1024))
        else:
            self._listeners.append(await loop.create_server(self._session, host, port, backlog=1024, reuse_address=True))
            port = self._listeners[-1].sockets[0].getsockname()[1]
        if self._sweeper is None:
            self._sweep()
        return port

    async def serve(self, listener: socket.socket) -> None:
        """Take connections from a socket that listens already; it is closed with the server."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
        self._listeners.append(await create(self._session, sock=listener))
        if self._sweeper is None:
            self._sweep()

    async def drain(self, seconds: float) -> None:
        """Stop: no new connection, no new mail; those under way have `seconds` to end."""
        self.draining = True
        for listener in self._listeners:
            listener.close()
        end = asyncio.get_running_loop().time() + seconds
        while self._sessions and asyncio.get_running_loop().time() < end:
            for session in [session for session in self._sessions if not session.in_mail]:
                session.stop(_STOPPING)
            await asyncio.sleep(0.02)
        for session in list(self._sessions):
            session.stop(_STOPPING)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _session(self) -> SmtpSession:
        return SmtpSession(self)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for session in [session for session in self._sessions if session.deadline <= now]:
            session.stop(_IDLE)
        self._sweeper = loop.call_later(SWEEP, self._sweep)

    # What a session asks.

    def features(self) -> Features:
        """What a new connection is offered."""
        return replace(self._features, starttls=self.tls is not None)

    def patience(self) -> float:
        """How long to wait for a client now."""
        return self.limits.busy if len(self._sessions) > BUSY * self.limits.connections else self.limits.idle

    def trusts(self, client: str) -> bool:
        """Whether the peer at this address is trusted; a Unix socket ("") is when anybody is."""
        if not client:
            return bool(self._trusted)
        return any(ipaddress.ip_address(client) in network for network in self._trusted)

    def admit(self, session: SmtpSession, *, trusted: bool) -> Reply | None:
        """Count a new connection; gives the reply that refuses it, or None."""
        self._sessions.add(session)
        key = _key(session.client)
        self._open[key] += 1
        if self.draining:
            return _STOPPING
        if trusted:
            return None
        limits = self.limits
        crowded = len(self._sessions) > limits.connections or (limits.per_client and self._open[key] > limits.per_client)
        return _FULL if crowded or self._too_often(key) else None

    def _too_often(self, key: str) -> bool:
        if not self.limits.per_minute:
            return False
        now = asyncio.get_running_loop().time()
        if now - self._minute.began >= 60:  # noqa: PLR2004 - a minute
            self._minute = _Minute(now)
        self._minute.count[key] += 1
        return self._minute.count[key] > self.limits.per_minute

    def leave(self, session: SmtpSession) -> None:
        """Forget a connection."""
        self._sessions.discard(session)
        key = _key(session.client)
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]


def _key(client: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of which an IPv6 client owns every address."""
    return str(ipaddress.ip_network((client, 64), strict=False)) if ":" in client else client


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context from PEM files. Raises OSError or ssl.SSLError when they are unreadable or do not belong together."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
