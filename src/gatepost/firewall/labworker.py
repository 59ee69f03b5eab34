"""Runs inside one namespace of the lab: answers on ports, or tries them.

What it does: `listen` answers each connection and datagram with the name of the namespace; `probe` tries a list of targets at once and
prints what answered. It reads one JSON line from standard input and imports nothing of Gatepost.
Not its job: namespaces (`lab`).
Raises: OSError when a port cannot be opened.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from typing import Any

Rows = list[list[Any]]
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def _socket(address: str, kind: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, _KINDS[kind])
    made.setblocking(False)  # noqa: FBT003 - the only way to say it
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def listen(name: str, places: Rows) -> None:
    """Answer on every [address, kind, port] with the name, until killed."""
    waiting = selectors.DefaultSelector()
    for address, kind, port in places:
        made = _socket(address, kind)
        made.bind((address, port))
        if kind == "tcp":
            made.listen(64)
        waiting.register(made, selectors.EVENT_READ, kind)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _ in waiting.select():
            _answer(key.fileobj, str(key.data), name.encode())  # type: ignore[arg-type]


def _answer(made: socket.socket, kind: str, name: bytes) -> None:
    try:
        if kind == "tcp":
            taken, _ = made.accept()
            taken.sendall(name)
            taken.close()
        else:
            _, peer = made.recvfrom(64)
            made.sendto(name, peer)
    except OSError:
        return  # The prober has gone; its silence is its answer.


def probe(rows: Rows, seconds: float) -> dict[str, str]:
    """Try every [number, source, target, kind, port]; give, by number, who answered ("" is a refusal)."""
    waiting = selectors.DefaultSelector()
    answers: dict[str, str] = {}
    for number, source, target, kind, port in rows:
        made = _socket(source, kind)
        made.bind((source, 0))
        try:
            made.connect((target, port))
        except BlockingIOError:
            pass
        except OSError:
            made.close()
            continue
        if kind == "udp":
            made.send(b"?")
        waiting.register(made, selectors.EVENT_READ, number)
    end = time.monotonic() + seconds
    while waiting.get_map() and time.monotonic() < end:
        for key, _ in waiting.select(0.1):
            answers[str(key.data)] = _heard(key.fileobj)  # type: ignore[arg-type]
            waiting.unregister(key.fileobj)
    return answers


def _heard(made: socket.socket) -> str:
    try:
        return made.recv(64).decode()
    except OSError:
        return ""
    finally:
        made.close()


def main() -> None:
    """Do what the JSON line on standard input says."""
    task = json.loads(sys.stdin.readline())
    if task["do"] == "listen":
        listen(task["name"], task["places"])
    else:
        sys.stdout.write(json.dumps(probe(task["rows"], task["seconds"])) + "\n")


if __name__ == "__main__":
    main()
