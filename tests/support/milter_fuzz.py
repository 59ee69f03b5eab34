"""Malformed milter sessions against a live milter: what an MTA would say, spoilt in one of thirteen ways by numbered chance.

Shares no code with the server. A number gives always the same session, so a failure can be repeated.
"""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.support import milter_client as milter

MAIL = b"Subject: fuzz\r\nFrom: a@partner.example\r\n\r\nhello\r\n"
PATIENCE = 20.0
"""Seconds without a word after which a session counts as hung."""

Packets = list[bytes]
Spoil = Callable[[Packets, random.Random], Packets]


def _packets() -> Packets:
    """A polite session, packet by packet."""
    raw, out = milter.session(MAIL, (b"<bob@widget.example>",)), []
    while raw:
        end = 4 + struct.unpack("!I", raw[:4])[0]
        out.append(raw[:end])
        raw = raw[end:]
    return [*out, milter.packet(b"Q")]


def _replaced(change: Callable[[bytes, random.Random], bytes]) -> Spoil:
    """Spoil one packet."""

    def spoil(packets: Packets, dice: random.Random) -> Packets:
        at = dice.randrange(len(packets))
        return [*packets[:at], change(packets[at], dice), *packets[at + 1 :]]

    return spoil


def _shuffled(packets: Packets, dice: random.Random) -> Packets:
    return dice.sample(packets, len(packets))


def _cut(packets: Packets, dice: random.Random) -> Packets:
    raw = b"".join(packets)
    return [raw[: dice.randrange(1, len(raw))]]


def _offer(packets: Packets, dice: random.Random) -> Packets:
    version = dice.choice((0, 1, 5, 7, 99, 2**32 - 1))
    return [milter.packet(b"O", struct.pack("!III", version, dice.getrandbits(32), dice.getrandbits(32))), *packets[1:]]


def _macros(packets: Packets, _dice: random.Random) -> Packets:
    return [packets[0], milter.packet(b"D", b"C" + b"".join(b"{m%d}\0v\0" % number for number in range(10_000))), *packets[1:]]


WAYS: tuple[Spoil, ...] = (
    _replaced(lambda _packet, _dice: bytes(4)),
    _replaced(lambda packet, _dice: b"\xff" * 4 + packet[4:]),
    _replaced(lambda packet, dice: struct.pack("!I", max(0, len(packet) - 5 - dice.randrange(3))) + packet[4:]),
    _replaced(lambda packet, dice: struct.pack("!I", len(packet) + dice.randrange(60_000)) + packet[4:]),
    _replaced(lambda _packet, dice: milter.packet(bytes([dice.randrange(256)]), dice.randbytes(dice.randrange(200)))),
    _replaced(lambda packet, _dice: packet[:5] + packet[5:].replace(b"\0", b"A")),
    _replaced(lambda packet, dice: packet * dice.randint(2, 50)),
    _shuffled,
    lambda packets, _dice: [milter.packet(b"B", bytes(65_535)), *packets],
    _cut,
    _offer,
    _macros,
    lambda _packets, dice: [dice.randbytes(dice.randrange(1, 4000))],
)


def session(path: str, number: int) -> str:
    """Have the numbered session; gives how it ended: "closed", "cut" or "hung"."""
    dice = random.Random(number)
    packets = WAYS[number % len(WAYS)](_packets(), dice)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.connect(path)
            sock.sendall(b"".join(packets))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass
        except TimeoutError:
            return "hung"
        except OSError:
            return "cut"
    return "closed"


def sessions(path: str, numbers: Iterable[int], at_once: int = 8) -> Counter[str]:
    """Have many, some at a time; how they ended."""
    with ThreadPoolExecutor(at_once) as pool:
        return Counter(pool.map(lambda number: session(path, number), numbers))
