"""Runs at a vantage point, in a namespace of the lab or on another host: answers on ports, or tries them.

What it does: `listen` answers each connection and datagram with a name; `probe` tries lists of targets, each list at once, and tells what
was seen; `sources` tells from which address each target would be tried; `clocks` asks for ICMP timestamps. It reads one JSON line from
standard input and imports nothing of Gatepost, so that its text alone can be sent to a host that has only Python.
Not its job: namespaces (`lab`), what should have been seen (`outside`).
Raises: OSError when a port cannot be opened.
"""

from __future__ import annotations

import errno
import json
import selectors
import signal
import socket
import struct
import sys
import time
from typing import Any

Rows = list[list[Any]]
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_QUESTIONS = {53: b"gp\1\0\0\1" + bytes(6) + b"\0\0\2\0\1", 123: b"\x23" + bytes(47)}
"""What servers of UDP answer: the name servers of the root (RFC 1035 4.1), the time (RFC 5905 7.3)."""
_ICMP_TIMESTAMP, _ICMP_TIMESTAMP_REPLY = 13, 14


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


def probe(rows: Rows, seconds: float) -> dict[str, list[str]]:
    """Try every [number, source, target, kind, port] at once, from a source port of one's own where a sixth says so; give, by number, what was seen and what was said. Silence has no entry.

    Seen is "open" (connected, or a datagram came back), "closed" (a machine said that nothing listens there) or "refused" (the network
    said that it may not pass). An empty source is whatever the kernel takes.
    """
    waiting = selectors.DefaultSelector()
    seen: dict[str, list[str]] = {}
    for number, source, target, kind, port, *own in rows:
        made = _socket(target, kind)
        if source:
            made.bind((source, own[0] if own else 0))
        try:
            made.connect((target, port))
            if kind == "udp":
                made.send(_QUESTIONS.get(port, b"?"))
        except BlockingIOError:
            pass
        except OSError as error:
            seen[str(number)] = [_state(error.errno), ""]
            made.close()
            continue
        waiting.register(made, selectors.EVENT_WRITE if kind == "tcp" else selectors.EVENT_READ, str(number))
    end = time.monotonic() + seconds
    while waiting.get_map() and time.monotonic() < end:
        for key, event in waiting.select(0.1):
            _step(waiting, key, event, seen)
    for key in list(waiting.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return seen


def _step(waiting: selectors.BaseSelector, key: selectors.SelectorKey, event: int, seen: dict[str, list[str]]) -> None:
    """One socket has news: it is connected, or somebody spoke, or there is an error."""
    made: socket.socket = key.fileobj  # type: ignore[assignment]
    if event & selectors.EVENT_WRITE:
        failed = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        seen[key.data] = [_state(failed) if failed else "open", ""]
        if not failed:
            waiting.modify(made, selectors.EVENT_READ, key.data)
            return
    else:
        try:
            seen[key.data] = ["open", made.recv(256).decode("utf-8", "replace")]
        except OSError as error:
            seen.setdefault(key.data, [_state(error.errno), ""])
    waiting.unregister(made)
    made.close()


def _state(error: int | None) -> str:
    return "closed" if error == errno.ECONNREFUSED else "refused"


def sources(targets: list[str]) -> dict[str, str]:
    """The address from which each target would be tried; "" where there is no way to it."""
    found = {}
    for target in targets:
        with _socket(target, "udp") as made:
            try:
                made.connect((target, 9))
                found[target] = str(made.getsockname()[0])
            except OSError:
                found[target] = ""
    return found


def clocks(targets: list[str], seconds: float) -> list[str] | None:
    """Which IPv4 targets tell their time to an ICMP timestamp request (RFC 792); None without leave to ask."""
    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        return None
    body = struct.pack("!BBHHHIII", _ICMP_TIMESTAMP, 0, 0, 0x6770, 1, 0, 0, 0)
    total = sum(struct.unpack("!10H", body))
    request = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
    found = set()
    with made:
        made.settimeout(0.1)
        for target in targets:
            made.sendto(request, (target, 0))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                packet, (peer, _) = made.recvfrom(256)
            except TimeoutError:
                continue
            if packet[(packet[0] & 15) * 4] == _ICMP_TIMESTAMP_REPLY:
                found.add(peer)
    return sorted(found & set(targets))


def main() -> None:
    """Do what the JSON line on standard input says."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for who started us
    task = json.loads(sys.stdin.readline())
    answer: Any = {}
    match task["do"]:
        case "listen":
            listen(task["name"], task["places"])
        case "probe":
            for rows in task["batches"]:
                answer |= probe(rows, task["seconds"])
        case "sources":
            answer = sources(task["targets"])
        case "clocks":
            answer = clocks(task["targets"], task["seconds"])
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
