"""A server that answers every connection with given bytes, to show a client any reply there could be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def answering(answer: Callable[[bytes], bytes] | bytes, until: bytes = b"") -> Iterator[str]:
    """Serve on a free port of loopback and give its address. What came until `until` (or in the first piece) is handed to `answer`."""
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(server, answer, until), daemon=True)
    thread.start()
    try:
        yield f"tcp:127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


@contextmanager
def greeting(words: bytes) -> Iterator[str]:
    """Serve on a free port of loopback, say `words` to whoever connects, and hang up; gives host:port."""
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_greet, args=(server, words), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def _greet(server: socket.socket, words: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(words)


def _serve(server: socket.socket, answer: Callable[[bytes], bytes] | bytes, until: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            try:
                request = _receive(connection, until)
                connection.sendall(answer(request) if callable(answer) else answer)
            except OSError:
                continue


def _receive(connection: socket.socket, until: bytes) -> bytes:
    request = connection.recv(1 << 20)
    while until not in request and (piece := connection.recv(1 << 20)):
        request += piece
    return request
