"""A stand-in for clamd that misbehaves on demand, to prove that no misbehaviour is taken for "clean"."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.eicar import MARKER

# What the answer to a mail is in each mode; None closes without a word.
ANSWERS = {
    "garbage": b"\x9f\x01\xfe?" * 50,
    "empty": None,
    "half": b"stream: ",
    "no-terminator": b"stream: OK",
    "nul": bytes(64),
    "error": b"stream: lstat() failed: No such file or directory. ERROR\0",
    "size-limit": b"INSTREAM size limit exceeded. ERROR\0",
    "ok-then-found": b"stream: OK\0stream: X FOUND\0",
    "ok-then-garbage": b"stream: OK\0\xff",
    "other-name": b"/etc/passwd: OK\0",
    "ok-without-name": b"OK\0",
    "ok-in-signature": b"stream: OK OK\0",
    "lower-case": b"stream: ok\0",
    "newline": b"stream: OK\n",
    "unknown-command": b"UNKNOWN COMMAND\0",
    "http": b"HTTP/1.1 200 OK\r\n\r\n",
}
SPECIAL = ("hang", "flood", "refuse", "close-early", "drip")


class FaultClamd:
    """Serves one connection after the other on a Unix socket; set `mode` at any time ("ok" is honest)."""

    def __init__(self, path: Path) -> None:
        self.mode = "ok"
        self.asked = 0
        self.released = threading.Event()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self.address = f"unix:{path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_quietly, args=(connection,), daemon=True).start()

    def _serve_quietly(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                return

    def _serve(self, connection: socket.socket) -> None:
        mode = self.mode
        if mode == "refuse":
            return
        head = connection.recv(10, socket.MSG_PEEK)
        if head.startswith(b"zVERSION"):
            connection.sendall(b"ClamAV 1.4.6/27000/Mon Nov 23 08:00:00 2026\0")
            return
        self.asked += 1
        if mode == "close-early":
            return
        if not head.startswith(b"zFILDES"):
            self._answer(connection, mode, _receive_stream(connection))
            return
        data = _receive_descriptor(connection)
        if mode == "no-descriptors":
            connection.sendall(b"fd[10]: Can't open file or directory ERROR\0")
        else:
            self._answer(connection, mode, data)

    def _answer(self, connection: socket.socket, mode: str, data: bytes) -> None:
        if mode == "hang":
            self.released.wait(60)
        elif mode == "flood":
            for _ in range(1024):
                connection.sendall(b"A" * 65536)
        elif mode == "drip":
            while not self.released.wait(0.02):
                connection.sendall(b"s")
        elif mode in ANSWERS:
            connection.sendall(ANSWERS[mode] or b"")
        elif mode == "lie":
            connection.sendall(b"stream: OK\0")
        else:
            connection.sendall(b"stream: Fault.Marker FOUND\0" if MARKER in data else b"stream: OK\0")


def _receive_stream(connection: socket.socket) -> bytes:
    reader = connection.makefile("rb")
    if reader.read(10) != b"zINSTREAM\0":
        raise ConnectionError
    data = b""
    while size := struct.unpack("!I", reader.read(4))[0]:
        data += reader.read(size)
    return data


def _receive_descriptor(connection: socket.socket) -> bytes:
    received = b""
    while True:
        piece, descriptors, _, _ = socket.recv_fds(connection, 64, 1)
        received += piece
        if descriptors:
            with os.fdopen(descriptors[0], "rb") as file:
                file.seek(0)
                return file.read()
        if not piece:
            raise ConnectionError


@contextmanager
def running_faultclamd(folder: Path) -> Iterator[FaultClamd]:
    """Serve until the block ends."""
    server = FaultClamd(folder / "fault.sock")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def faultclamd(tmp_path: Path) -> Iterator[FaultClamd]:
    """A fresh misbehaving clamd."""
    with running_faultclamd(tmp_path) as server:
        yield server
