"""Closed-loop clients for benchmarks: each connection sends its next mail as soon as it has the verdict on the last.

One client speaks to raw clamd (INSTREAM, whole mail), one to any milter; both are asyncio, one connection a mail.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.support import milter_client as milter

Verdict = bool
Client = Callable[[bytes], Awaitable[Verdict]]


@dataclass(frozen=True)
class Run:
    """What one round gave: mails a second, latencies in seconds sorted, and how many were stopped."""

    rate: float
    latencies: tuple[float, ...]
    stopped: int

    def quantile(self, share: float) -> float:
        """The latency below which this share of the mails was answered, in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


async def drive(client: Client, mails: Sequence[bytes], connections: int) -> Run:
    """Send every mail once over so many connections."""
    waiting = iter(mails)
    latencies: list[float] = []
    stopped = 0

    async def connection() -> None:
        nonlocal stopped
        for mail in waiting:
            start = time.perf_counter()
            stopped += await client(mail)
            latencies.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    return Run(len(mails) / (time.perf_counter() - start), tuple(sorted(latencies)), stopped)


_unique = itertools.count()


def fresh(mail: bytes) -> bytes:
    """The mail with a header field that no cache has seen."""
    return b"X-Bench: %d\r\n" % next(_unique) + mail


def clamd(path: str) -> Client:
    """Give whole mails to clamd by stream; true when it found something."""

    async def scan(mail: bytes) -> bool:
        reader, writer = await asyncio.open_unix_connection(path)
        content = fresh(mail)
        writer.write(b"zINSTREAM\0" + struct.pack("!I", len(content)) + content + bytes(4))
        answer = await reader.read()
        writer.close()
        if not answer.endswith((b" OK\0", b" FOUND\0")):
            raise ConnectionError(f"clamd answered {answer!r}")
        return answer.endswith(b" FOUND\0")

    return scan


def milters(path: str) -> Client:
    """Give mails to a milter as an MTA does, with every flag offered; true when it did not accept."""

    async def scan(mail: bytes) -> bool:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(milter.negotiation())
        steps = struct.unpack("!III", (await _packet(reader))[1:13])[2]
        for packets in _conversation(fresh(mail), steps):
            writer.write(packets)
            if _awaits(packets, steps) and (await _packet(reader))[:1] not in b"cs":
                writer.close()
                return True
        writer.write(milter.packet(b"E"))
        while (answer := await _packet(reader))[:1] not in milter.FINAL:
            pass
        writer.close()
        return answer[:1] not in b"ca"

    return scan


async def _packet(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(length)


def _conversation(mail: bytes, steps: int) -> list[bytes]:
    """The packets of one mail; those that need no answer stand together in one write."""
    header, _, body = mail.partition(b"\r\n\r\n")
    single = [
        (b"C", milter.connect()),
        (b"H", milter.arguments(b"H", b"client.example.org")),
        (b"M", milter.arguments(b"M", b"<a@example.org>")),
        (b"R", milter.arguments(b"R", b"<b@example.net>")),
        (b"T", milter.packet(b"T")),
        *(
            (b"L", milter.arguments(b"L", name, value))
            for name, value in milter.fields(header, leading_space=bool(steps & milter.LEADING_SPACE))
        ),
        (b"N", milter.packet(b"N")),
        *((b"B", milter.packet(b"B", body[at : at + milter.CHUNK])) for at in range(0, len(body), milter.CHUNK)),
    ]
    together: list[bytes] = [b""]
    for command, packet in single:
        if steps & milter.NO_SEND.get(command, 0):
            continue
        together[-1] += packet
        if not steps & milter.NO_REPLY.get(command, 0):
            together.append(b"")
    return [packets for packets in together if packets]


def _awaits(packets: bytes, steps: int) -> bool:
    """Whether the last packet of a write gets an answer."""
    at = 0
    while at < len(packets):
        (length,) = struct.unpack_from("!I", packets, at)
        command = packets[at + 4 : at + 5]
        at += 4 + length
    return not steps & milter.NO_REPLY.get(command, 0)
