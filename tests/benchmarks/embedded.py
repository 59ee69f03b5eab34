"""The gateway alone, without ClamAV, as SMTP proxy in front of a next hop that takes everything: mails a second, and memory."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from pathlib import Path

from tests.benchmarks.sets import real
from tests.support.gateway import Gateway
from tests.support.memory import proportional

CONNECTIONS = 8


async def _hop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A next hop that takes whatever comes, with as little work as can be."""
    writer.write(b"220 hop\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-hop\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 2.0.0 taken\r\n")
        else:
            writer.write(b"250 2.0.0 fine\r\n")
    writer.close()


async def _sender(port: int, mails: itertools.cycle[bytes], until: float) -> int:
    """Send mails in one connection until the time is up; how many were taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def answer() -> bytes:
        while (line := await reader.readline())[3:4] == b"-":
            pass
        return line

    await answer()
    writer.write(b"EHLO client.example\r\n")
    await answer()
    count = 0
    while time.monotonic() < until:
        writer.write(b"MAIL FROM:<a@partner.example>\r\nRCPT TO:<b@widget.example>\r\nDATA\r\n")
        replies = [await answer() for _ in range(3)]
        if not replies[2].startswith(b"354"):
            raise ConnectionError(f"the gateway answered {replies!r}")
        content = next(mails).replace(b"\r\n.", b"\r\n..").removesuffix(b"\r\n")
        writer.write(b"X-Bench: %d\r\n" % time.monotonic_ns() + content + b"\r\n.\r\n")
        count += (await answer()).startswith(b"250")
    writer.close()
    return count


async def _load(gateway: Gateway, seconds: float) -> float:
    hop = await asyncio.start_server(_hop, "127.0.0.1", gateway.next_hop, limit=64 << 20)
    mails = itertools.cycle(real(300))
    start = time.monotonic()
    counts = await asyncio.gather(*(_sender(gateway.smtp, mails, start + seconds) for _ in range(CONNECTIONS)))
    spent = time.monotonic() - start
    hop.close()
    return sum(counts) / spent


def memory(gateway: Gateway) -> float:
    """The proportional set size of all processes together, in MiB."""
    return sum(map(proportional, (gateway.process.pid, *gateway.children()))) / (1 << 20)


def measure(seconds: float, hop: int) -> list[tuple[str, float, float]]:
    """Rate and memory as targets: name, value, bound (of memory the bound comes first, since less is better)."""
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as path:
        gateway = Gateway(Path(path) / "gateway", next_hop=hop).start()
        try:
            asyncio.run(_load(gateway, 2))
            rate = asyncio.run(_load(gateway, seconds))
            used = memory(gateway)
        finally:
            gateway.stop()
    print(
        f"embedded, by SMTP through to a next hop: {rate:.0f} mails/s with {CONNECTIONS} connections; {used:.0f} MiB (PSS, all processes)"
    )
    return [("embedded-mails-per-second", rate, 1000.0), ("embedded-memory-150-MiB-to-used", 150.0 / used, 1.0)]
