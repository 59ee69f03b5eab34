"""An MTA's side of the milter protocol, blocking, for tests and benchmarks. It shares no code with the server.

`MilterClient` speaks any version and any flags; `send` and `receive` are single packets, `deliver` a whole mail.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF
LEADING_SPACE = 0x100000
CHUNK = 65_535
FINAL = b"acdrtyf4"
NO_SEND = {b"C": 0x1, b"H": 0x2, b"M": 0x4, b"R": 0x8, b"B": 0x10, b"L": 0x20, b"N": 0x40, b"U": 0x100, b"T": 0x200}
NO_REPLY = {b"L": 0x80, b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000, b"U": 0x20000, b"N": 0x40000, b"B": 0x80000}


def packet(command: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload) + 1) + command + payload


def negotiation(version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> bytes:
    return packet(b"O", struct.pack("!III", version, actions, steps))


def connect(host: bytes = b"client.example.org", family: bytes = b"4", port: int = 40_000, address: bytes = b"192.0.2.10") -> bytes:
    return packet(b"C", host + b"\0" + family + (b"" if family == b"U" else struct.pack("!H", port) + address + b"\0"))


def arguments(command: bytes, *values: bytes) -> bytes:
    return packet(command, b"".join(value + b"\0" for value in values))


def macros(stage: bytes, **values: bytes) -> bytes:
    named = ((name if len(name) == 1 else "{" + name + "}", value) for name, value in values.items())
    return packet(b"D", stage + b"".join(name.encode() + b"\0" + value + b"\0" for name, value in named))


def fields(header: bytes, *, leading_space: bool) -> list[tuple[bytes, bytes]]:
    """The header fields of a mail with CRLF lines, as an MTA would tell them."""
    out: list[tuple[bytes, bytes]] = []
    for line in header.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and out:
            name, value = out[-1]
            out[-1] = name, value + b"\n" + line
        elif line:
            name, _, value = line.partition(b":")
            out.append((name, value if leading_space else value.removeprefix(b" ")))
    return out


@dataclass
class Outcome:
    """How a mail ended: the final reply, and all changes asked for before it."""

    final: bytes
    payload: bytes
    changes: list[tuple[bytes, bytes]] = field(default_factory=list)
    progress: int = 0

    def of(self, kind: bytes) -> list[bytes]:
        return [payload for code, payload in self.changes if code == kind]


class MilterClient:
    """A connection to a milter, at a Unix path or a host and port."""

    def __init__(self, address: str | tuple[str, int], timeout: float = 20.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.steps = 0
        self.actions = 0
        self.version = 0
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, *packets: bytes) -> None:
        self.socket.sendall(b"".join(packets))

    def receive(self) -> tuple[bytes, bytes]:
        """The next packet; ConnectionError when the milter has closed."""
        (length,) = struct.unpack("!I", self._exactly(4))
        data = self._exactly(length)
        return data[:1], data[1:]

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the milter closed the connection")
            self._buffer += data
        out = bytes(self._buffer[:size])
        del self._buffer[:size]
        return out

    def negotiate(self, version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> bytes:
        """Offer flags, keep what the milter takes, return the macro lists it asks for."""
        self.send(negotiation(version, actions, steps))
        code, payload = self.receive()
        if code != b"O":
            raise ConnectionError(f"no negotiation but {code!r}")
        self.version, self.actions, self.steps = struct.unpack("!III", payload[:12])
        return payload[12:]

    def command(self, command: bytes, payload: bytes = b"") -> tuple[bytes, bytes] | None:
        """Send a command as the agreed flags say; the reply, or None where none is due."""
        if self.steps & NO_SEND.get(command, 0):
            return None
        self.send(packet(command, payload))
        return None if self.steps & NO_REPLY.get(command, 0) else self.receive()

    def strings(self, command: bytes, *values: bytes) -> tuple[bytes, bytes] | None:
        return self.command(command, b"".join(value + b"\0" for value in values))

    def greet(self) -> None:
        self.command(b"C", connect()[5:])
        self.strings(b"H", b"client.example.org")

    def envelope(
        self, sender: bytes = b"<a@example.org>", recipients: Iterable[bytes] = (b"<b@example.net>",), queue_id: bytes = b"4ABC"
    ) -> None:
        self.send(macros(b"M", i=queue_id))
        self.strings(b"M", sender)
        for recipient in recipients:
            self.strings(b"R", recipient)

    def content(self, mail: bytes) -> None:
        """A whole mail with CRLF lines, in the packets that an MTA would make of it."""
        header, _, body = mail.partition(b"\r\n\r\n")
        for name, value in fields(header, leading_space=bool(self.steps & LEADING_SPACE)):
            self.strings(b"L", name, value)
        self.command(b"N")
        for start in range(0, len(body), CHUNK):
            if self.command(b"B", body[start : start + CHUNK]) == (b"s", b""):
                break

    def end(self) -> Outcome:
        self.send(packet(b"E"))
        return self.outcome()

    def outcome(self) -> Outcome:
        changes: list[tuple[bytes, bytes]] = []
        progress = 0
        while True:
            code, payload = self.receive()
            if code == b"p":
                progress += 1
            elif code in FINAL:
                return Outcome(code, payload, changes, progress)
            else:
                changes.append((code, payload))

    def deliver(self, mail: bytes, sender: bytes = b"<a@example.org>", recipients: Sequence[bytes] = (b"<b@example.net>",)) -> Outcome:
        """One mail on a connection that has negotiated and greeted."""
        self.envelope(sender, recipients)
        self.content(mail)
        return self.end()


def session(mail: bytes, recipients: Sequence[bytes] = (b"<b@example.net>",)) -> bytes:
    """The bytes of one polite session with all flags agreed to, ready for a core that does no I/O."""
    header, _, body = mail.partition(b"\r\n\r\n")
    return b"".join(
        [
            negotiation(),
            macros(b"C", j=b"mx.example.net", client_addr=b"192.0.2.10"),
            connect(),
            arguments(b"H", b"client.example.org"),
            macros(b"M", i=b"4ABC", auth_authen=b"alice"),
            arguments(b"M", b"<a@example.org>", b"SIZE=10"),
            *(arguments(b"R", recipient) for recipient in recipients),
            *(arguments(b"L", name, value) for name, value in fields(header, leading_space=True)),
            packet(b"N"),
            *(packet(b"B", body[start : start + CHUNK]) for start in range(0, len(body), CHUNK)),
            macros(b"E", i=b"4ABCD"),
            packet(b"E"),
        ]
    )
