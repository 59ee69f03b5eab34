"""A whole SMTP server between a client and a faulty next hop, with a scripted handler."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gatepost.mail.act.connection import Hop, Timeouts, Tls
from gatepost.mail.act.hop import SmtpHop
from gatepost.mail.model import Answer, Envelope, Reply
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_server import ServerLimits, SmtpServer
from gatepost.mail.receive.spool import Spool
from tests.support.nexthop import FaultyHop

QUICK = Timeouts(connect=2, greeting=0.3, command=0.3, data=0.3, block=0.3, final=0.3)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
OK = Reply(250, "2.0.0", "taken")


@dataclass
class Judge:
    """A scripted handler: `verdict` makes the answer, `unknown` recipients are refused, `seen` is what was judged."""

    verdict: Callable[[Envelope], Answer] = lambda envelope: Answer(OK, envelope.recipients)
    unknown: tuple[str, ...] = ()
    seen: list[tuple[Envelope, bytes]] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def recipient(self, envelope: Envelope, recipient: str) -> Reply | None:
        return Reply(550, "5.1.1", "unknown here") if recipient in self.unknown else None

    async def message(self, envelope: Envelope, spool: Spool) -> Answer:
        self.seen.append((envelope, bytes(spool.view())))
        if self.gate is not None:
            await self.gate.wait()
        return self.verdict(envelope)


@dataclass
class Rig:
    """Everything of one test: client → `server` with `judge` → `sink`."""

    judge: Judge
    sink: FaultyHop
    server: SmtpServer
    port: int
    outcomes: list[Mapping[str, Reply]]


@asynccontextmanager
async def rig(
    judge: Judge | None = None,
    sink: FaultyHop | None = None,
    features: Features | None = None,
    limits: ServerLimits | None = None,
    tls: ssl.SSLContext | None = None,
    trusted: tuple[ipaddress.IPv4Network, ...] = (),
    tls_policy: Tls = Tls.MAY,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[Rig]:
    judge = judge or Judge()
    outcomes: list[Mapping[str, Reply]] = []

    async def outcome(_envelope: Envelope, _answer: Answer, replies: Mapping[str, Reply]) -> None:
        outcomes.append(replies)

    async with sink or FaultyHop() as faulty:
        next_hop = SmtpHop(Hop("127.0.0.1", faulty.port, lmtp=faulty.lmtp, timeouts=QUICK, tls=tls_policy, context=context))
        server = SmtpServer(
            judge,
            features or Features("gw.example"),
            limits or ServerLimits(trace=False),
            next_hop=next_hop,
            trusted=trusted,
            tls=tls,
            outcome=outcome,
        )
        port = await server.listen("127.0.0.1", 0)
        yield Rig(judge, faulty, server, port, outcomes)
        await server.drain(1)
        next_hop.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await test()

    coroutine: Coroutine[Any, Any, None] = whole()
    asyncio.run(coroutine)
