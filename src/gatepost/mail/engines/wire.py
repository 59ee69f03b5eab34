"""A connection to an engine's socket, in which nothing can take longer than a deadline or more memory than a bound.

Not its job: what is said over it.
Raises: `EngineError` when the engine cannot be reached, hangs up or says too much, `EngineTimeoutError` when time is over.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

from gatepost.mail.inspect.engine import EngineError, EngineTimeoutError
from gatepost.mail.model import Buffer

_CHUNK = 65536
_HIGHEST_PORT = 65535


class Address(NamedTuple):
    """Where an engine listens: a Unix socket's `path`, or `host` and `port` when `path` is empty."""

    path: str
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `unix:/path`, `/path`, `tcp:host:port` or `host:port` (an IPv6 host in brackets). Raises EngineError."""
        if text.startswith(("unix:/", "/")):
            return cls(text.removeprefix("unix:"))
        host, _, port = text.removeprefix("tcp:").rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _HIGHEST_PORT:
            raise EngineError(f"{text!r} is no address: write unix:/path/of/socket or tcp:host:port")
        return cls("", host.strip("[]"), int(port))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


class Wire:
    """An open connection. `deadline` is in seconds of time.monotonic() and holds for everything done with it."""

    def __init__(self, address: Address, deadline: float) -> None:
        self.address = address
        self._deadline = deadline
        with self._mapped():
            self.socket = self._open()

    def send(self, *pieces: Buffer) -> None:
        """Send all `pieces` in order."""
        with self._mapped():
            for piece in self._first_together(pieces):
                self.socket.settimeout(self._left())
                self.socket.sendall(piece)

    def send_descriptor(self, descriptor: int) -> None:
        """Pass an open file to the engine; only over a Unix socket."""
        with self._mapped():
            self.socket.settimeout(self._left())
            socket.send_fds(self.socket, [b"\0"], [descriptor])

    def receive(self) -> bytes:
        """Receive what has come, at least one byte; b"" at the end."""
        with self._mapped():
            self.socket.settimeout(self._left())
            return self.socket.recv(_CHUNK)

    def rest(self, limit: int) -> bytes:
        """Receive until the engine closes; more than `limit` bytes are refused."""
        data = bytearray()
        while piece := self.receive():
            data += piece
            if len(data) > limit:
                raise EngineError(f"{self.address} answered more than {limit} bytes")
        return bytes(data)

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        with self._mapped():
            self.socket.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def _open(self) -> socket.socket:
        if not self.address.path:
            return socket.create_connection((self.address.host, self.address.port), self._left())
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(self._left())
            opened.connect(self.address.path)
        except OSError:
            opened.close()
            raise
        return opened

    def _first_together(self, pieces: tuple[Buffer, ...]) -> tuple[Buffer, ...]:
        if sum(map(len, pieces)) > _CHUNK:
            return pieces
        return (b"".join(pieces),)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise EngineTimeoutError(f"{self.address} did not answer in time") from None
        except OSError as error:
            raise EngineError(
                f"{self.address}: {error.strerror or error}; is the engine running, and may Gatepost use its socket?"
            ) from None
