"""One connection to a next hop: greeting, EHLO, TLS, commands and replies, with a time limit for each step (RFC 5321 4.5.3.2).

Not its job: transactions (`hop`).
Raises: `HopError`, with the reply that our own client gets.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gatepost.mail.model import Reply
from gatepost.mail.smtp.reply import ReplyError, ReplyReader, from_lines

BLOCK = 64 * 1024  # octets gathered for one write: a small mail goes out in one packet train with its dot


class HopError(Exception):
    """The next hop cannot be talked to, or does not talk SMTP."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


def _trouble(text: str, status: str = "4.4.2") -> HopError:
    return HopError(Reply(451, status, f"the next hop {text}, try again later"))


class Tls(StrEnum):
    """Whether to encrypt: never; when offered, unverified and with plain text as fallback (RFC 7435); or always and verified."""

    NONE = "none"
    MAY = "may"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait at each step; the defaults are those of RFC 5321 4.5.3.2, but for connecting."""

    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    data: float = 120.0
    block: float = 180.0
    final: float = 600.0


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop: a host name or address with a port, or the path of a Unix socket ("/...") as `host`.

    `hostname` is what we call ourselves; `keep` how many idle connections are kept. `context` verifies the certificate for
    `Tls.REQUIRE` (the system's authorities when None) against `server_name`, or `host` when that is "".
    """

    host: str
    port: int = 25
    hostname: str = "localhost"
    lmtp: bool = False
    tls: Tls = Tls.MAY
    context: ssl.SSLContext | None = None
    server_name: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)
    keep: int = 16


def _opportunistic() -> ssl.SSLContext:
    """A context that encrypts against those who only listen, which is all that unverified TLS can do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Wire(asyncio.Protocol):
    """The transport's other side: replies come in, writing waits while the peer does not read."""

    def __init__(self) -> None:
        self.reader = ReplyReader()
        self.lost = False
        self._waiters: list[asyncio.Future[None]] = []
        self._full = False

    def data_received(self, data: bytes) -> None:
        try:
            self.reader.feed(data)
        except ReplyError:
            self.lost = True
        self._wake()

    def eof_received(self) -> None:
        self.lost = True
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _sleep(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def reply(self, seconds: float) -> tuple[int, tuple[str, ...]]:
        """Give the next reply. Raises HopError."""
        try:
            async with asyncio.timeout(seconds):
                while (found := self.reader.lines()) is None:
                    if self.lost:
                        raise _trouble("closed the connection")
                    await self._sleep()
        except TimeoutError:
            raise _trouble(f"did not answer within {seconds:g} seconds", "4.4.1") from None
        except ReplyError:
            raise _trouble("answered what is no SMTP", "4.5.0") from None
        return found

    async def drained(self, seconds: float) -> None:
        """Wait until there is room to write. Raises HopError."""
        try:
            async with asyncio.timeout(seconds):
                while self._full and not self.lost:
                    await self._sleep()
        except TimeoutError:
            raise _trouble(f"did not read on for {seconds:g} seconds") from None


class Connection:
    """A connection that stands ready for MAIL.

    `offers` are the EHLO keywords, `begun` says that it may hold an unfinished transaction, `mail_sent` that octets of a mail
    have been sent in the present one, `kept` how often it has been kept for another.
    """

    def __init__(self, hop: Hop, wire: _Wire, transport: asyncio.Transport) -> None:
        self.hop = hop
        self.offers: dict[str, str] = {}
        self.begun = False
        self.mail_sent = False
        self.kept = 0
        self._wire = wire
        self._transport = transport

    @classmethod
    async def open(cls, hop: Hop) -> Connection:
        """Connect, greet, and take up TLS as the policy says. Raises HopError."""
        connection = await cls._connect(hop)
        if hop.tls is Tls.NONE or hop.host.startswith("/"):
            return connection
        if not connection.offered("STARTTLS"):
            if hop.tls is Tls.REQUIRE:
                connection.quit()
                raise _trouble("offers no TLS, which the site file asks for", "4.7.4")
            return connection
        try:
            await connection.start_tls()
        except HopError:
            connection.abort()
            if hop.tls is Tls.REQUIRE:
                raise
            return await cls._connect(hop)
        return connection

    @classmethod
    async def _connect(cls, hop: Hop) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(hop.timeouts.connect):
                if hop.host.startswith("/"):
                    transport, wire = await loop.create_unix_connection(_Wire, hop.host)
                else:
                    transport, wire = await loop.create_connection(_Wire, hop.host, hop.port)
        except (OSError, TimeoutError) as error:
            raise _trouble(f"cannot be reached ({error or 'no answer'})", "4.4.1") from error
        connection = cls(hop, wire, transport)
        try:
            await connection._greet()
        except HopError:
            connection.abort()
            raise
        return connection

    async def _greet(self) -> None:
        code, texts = await self._wire.reply(self.hop.timeouts.greeting)
        if code != 220:  # noqa: PLR2004 - RFC 5321 4.2.2
            raise _trouble(f"greeted with {code} {' '.join(texts)}", "4.3.2")
        await self._hello()

    async def _hello(self) -> None:
        self._write(f"{'LHLO' if self.hop.lmtp else 'EHLO'} {self.hop.hostname}")
        code, texts = await self._wire.reply(self.hop.timeouts.command)
        if code // 100 == 5 and not self.hop.lmtp:  # noqa: PLR2004 - RFC 5321 3.2: an old server knows HELO
            self._write(f"HELO {self.hop.hostname}")
            code, texts = await self._wire.reply(self.hop.timeouts.command)
        if code != 250:  # noqa: PLR2004 - RFC 5321 4.2.2
            raise _trouble(f"answered our greeting with {code} {' '.join(texts)}", "4.3.2")
        words = (text.partition(" ") for text in texts[1:])
        self.offers = {name.upper(): value for name, _, value in words}

    async def start_tls(self) -> None:
        """Encrypt, and greet again inside (RFC 3207 4.2). Raises HopError."""
        (reply,) = await self.exchange(["STARTTLS"], self.hop.timeouts.command)
        if reply.code != 220:  # noqa: PLR2004 - RFC 3207 4
            raise _trouble(f"refused TLS with {reply.code} {reply.text}", "4.7.4")
        if self._wire.reader.pending:  # RFC 3207 6: said in clear, it must not count inside TLS
            raise _trouble("sent more than its answer to STARTTLS", "4.7.4")
        context = (self.hop.context or ssl.create_default_context()) if self.hop.tls is Tls.REQUIRE else _opportunistic()
        name = self.hop.server_name or self.hop.host
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, self._wire, context, server_hostname=name, ssl_handshake_timeout=self.hop.timeouts.connect
            )
        except (OSError, ssl.CertificateError) as error:
            raise _trouble(f"failed to take up TLS ({error})", "4.7.5") from error
        if transport is None:
            raise _trouble("closed the connection while TLS began", "4.7.5")
        self._transport = transport
        await self._hello()

    @property
    def lost(self) -> bool:
        """Whether the next hop has gone, or has said something unasked (which is always a farewell)."""
        return self._wire.lost or self._wire.reader.pending

    def offered(self, keyword: str) -> bool:
        """Whether EHLO named `keyword`."""
        return keyword in self.offers

    def _write(self, *commands: str) -> None:
        self._transport.write("".join(f"{command}\r\n" for command in commands).encode("utf-8", "surrogateescape"))

    async def exchange(self, commands: Sequence[str], seconds: float) -> list[Reply]:
        """Send commands and give the replies: all in one go where the next hop takes that (RFC 2920). Raises HopError."""
        if self.offered("PIPELINING"):
            self._write(*commands)
            return [from_lines(*await self._wire.reply(seconds)) for _ in commands]
        replies = []
        for command in commands:
            self._write(command)
            replies.append(from_lines(*await self._wire.reply(seconds)))
        return replies

    async def send_chunk(self, size: int, chunks: Iterable[bytes]) -> None:
        """Send a mail of `size` octets as one chunk (RFC 3030), without asking first. Raises as `send` does; nothing is sent when the next hop has gone."""
        if self.lost:
            raise _trouble("closed the connection")
        self._write(f"BDAT {size} LAST")
        await self.send(chunks)

    async def send(self, chunks: Iterable[bytes]) -> None:
        """Send a mail. Raises HopError, and LineEndError from `chunks`; the connection must then be dropped."""
        self.mail_sent = True
        gathered = bytearray()
        for chunk in chunks:
            gathered += chunk
            if len(gathered) >= BLOCK:
                self._transport.write(bytes(gathered))
                gathered.clear()
                await self._wire.drained(self.hop.timeouts.block)
        self._transport.write(bytes(gathered))

    async def final(self, count: int) -> list[Reply]:
        """Give the replies to the end of data. Raises HopError."""
        return [from_lines(*await self._wire.reply(self.hop.timeouts.final)) for _ in range(count)]

    def done(self) -> None:
        """Say that a mail is through and the connection ready for the next."""
        self.begun = self.mail_sent = False

    def quit(self) -> None:
        """Say goodbye and close, without waiting for the answer."""
        if not self._wire.lost:
            self._write("QUIT")
        self._transport.close()

    def abort(self) -> None:
        """Close at once: the next hop sees no end of data, so it takes no mail."""
        self._transport.abort()
