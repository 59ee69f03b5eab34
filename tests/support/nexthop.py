"""A next hop with switchable faults: SMTP or LMTP, with or without TLS, and a ledger of what it took.

Faults are set on the object and read at each command, so that a test can change them while a dialogue is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Self

CHUNKING = ("PIPELINING", "8BITMIME", "CHUNKING")
OFFERS = ("PIPELINING", "SIZE 0", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@dataclass
class Taken:
    """One mail that the hop took: the MAIL line, the RCPT lines taken, XFORWARD lines, and the content without transparency dots."""

    mail: str
    recipients: list[str]
    forwarded: list[str]
    content: bytes


@dataclass
class FaultyHop:
    """A next hop; `faults` maps a step to what happens there.

    Steps: "greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot", or "RCPT <address>" and "dot <address>" (LMTP) for one recipient.
    A fault is a reply line ("451 4.3.0 later"), "drop" (close at once) or "hang" (never answer); at "dot" also "take and drop": the mail
    is taken, and nobody hears of it.
    """

    offers: tuple[str, ...] = OFFERS
    lmtp: bool = False
    tls: ssl.SSLContext | None = None
    injected: bytes = b""
    faults: dict[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_all(self) -> None:
        """Close every connection, as a restart does."""
        for task in list(self._tasks):
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(_Dialogue(self, reader, writer).run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _DropError(Exception):
    pass


class _Dialogue:
    def __init__(self, hop: FaultyHop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hop = hop
        self.reader = reader
        self.writer = writer
        self.forget()

    def forget(self) -> None:
        self.mail = ""
        self.recipients: list[str] = []
        self.forwarded: list[str] = []

    async def run(self) -> None:
        with contextlib.suppress(_DropError, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.say("greeting", "220 hop ready")
            while line := await self.reader.readline():
                await self.command(line.decode().rstrip("\r\n"))
        self.writer.close()

    async def say(self, step: str, usual: str) -> bool:
        """Answer as usual or as the fault says; gives whether the answer is a success."""
        fault = self.hop.faults.get(step, usual)
        if fault == "drop":
            raise _DropError
        if fault == "hang":
            await asyncio.sleep(3600)
        self.writer.write(fault.encode() + b"\r\n")
        await self.writer.drain()
        return fault[0] in "23"

    async def command(self, line: str) -> None:
        self.hop.commands.append(line)
        verb = line.partition(" ")[0].upper()
        if verb in {"EHLO", "LHLO", "HELO"}:
            offers = self.hop.offers + (("STARTTLS",) if self.hop.tls else ())
            await self.say("EHLO", "\r\n".join(f"250-{offer}" for offer in ("hop", *offers)) + "\r\n250 HELP")
        elif verb == "STARTTLS" and self.hop.tls:
            self.writer.write(b"220 go on\r\n" + self.hop.injected)
            await self.writer.start_tls(self.hop.tls)
        elif verb == "XFORWARD":
            self.forwarded.append(line)
            await self.say("XFORWARD", "250 ok")
        elif verb == "MAIL" and await self.say("MAIL", "250 2.1.0 ok"):
            self.mail = line
        elif verb == "RCPT":
            await self.recipient(line)
        elif verb == "DATA":
            await self.data()
        elif verb == "BDAT" and "CHUNKING" in self.hop.offers:
            await self.chunk(int(line.split()[1]))
        elif verb == "QUIT":
            await self.say("QUIT", "221 bye")
            raise _DropError
        elif verb == "RSET":
            self.forget()
            await self.say("RSET", "250 ok")
        elif verb != "MAIL":
            await self.say("unknown", "500 what")

    async def recipient(self, line: str) -> None:
        address = line[line.index("<") + 1 : line.index(">")]
        if not self.mail:
            await self.say("no sender", "503 5.5.1 MAIL first")
        elif await self.say(f"RCPT {address}" if f"RCPT {address}" in self.hop.faults else "RCPT", "250 2.1.5 ok"):
            self.recipients.append(address)

    async def data(self) -> None:
        if not self.recipients:
            await self.say("no recipient", "503 5.5.1 no recipient")
            return
        if await self.say("DATA", "354 go on"):
            await self.take(await self.content())

    async def chunk(self, size: int) -> None:
        """The only chunk of a mail; it is read whatever the answer is (RFC 3030 2)."""
        content = await self.reader.readexactly(size)
        if self.recipients:
            await self.take(content)
        else:
            await self.say("no recipient", "503 5.5.1 no recipient")

    async def take(self, content: bytes) -> None:
        taken = Taken(self.mail, self.recipients, self.forwarded, content)
        self.forget()
        if self.hop.faults.get("dot") == "take and drop":
            self.hop.taken.append(taken)
            raise _DropError
        if self.hop.lmtp:
            got = [address for address in taken.recipients if await self.say(f"dot {address}", "250 2.0.0 got it")]
            taken.recipients = got
            self.hop.taken += [taken] if got else []
        elif await self.say("dot", "250 2.0.0 got it"):
            self.hop.taken.append(taken)

    async def content(self) -> bytes:
        lines = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)
