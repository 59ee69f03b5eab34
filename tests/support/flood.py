"""Sends datagrams as fast as one processor can: `python flood.py TARGET PORT SECONDS|COUNTx SOURCE`, inside a namespace; needs root.

Each has another source port, so that it begins a connection. Prints how many were sent, and the seconds that it took.
Python only hands over batches (sendmmsg(2)), so the kernel is what is measured.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time
from pathlib import Path

AT_ONCE = 64
PORTS = range(1024, 1024 + 1000 * AT_ONCE)
BODY = b"x" * 16


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr; the socket is connected, so no message names its target."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Header), ("sent", ctypes.c_uint))


def command(target: str, port: int, howlong: float | str, source: str) -> list[str]:
    """How to start this in a namespace."""
    return [sys.executable, str(Path(__file__)), target, str(port), str(howlong), source]


def contents(port: int) -> list[bytes]:
    """What is sent, one after the other; without a checksum, which IPv4 allows (RFC 768)."""
    return [struct.pack("!HHHH", own, port, 8 + len(BODY), 0) + BODY for own in PORTS]


def send(made: socket.socket, packets: list[bytes], seconds: float, count: float) -> tuple[int, float]:
    """Send them round and round until the time or the count is over."""
    library = ctypes.CDLL(None, use_errno=True)
    kept = [ctypes.create_string_buffer(packet, len(packet)) for packet in packets]
    vectors = (Vector * len(kept))(*(Vector(ctypes.addressof(one), len(one)) for one in kept))
    messages = (Message * len(kept))()
    for number, message in enumerate(messages):
        message.header.vectors, message.header.vector_count = ctypes.addressof(vectors) + number * ctypes.sizeof(Vector), 1
    batches = [ctypes.byref(messages, start * ctypes.sizeof(Message)) for start in range(0, len(kept), AT_ONCE)]
    sent, handle, begun, batch = 0, made.fileno(), time.monotonic(), 0
    while sent < count and time.monotonic() - begun < seconds:
        done = library.sendmmsg(handle, batches[batch], AT_ONCE, 0)
        if done < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        sent, batch = sent + done, (batch + 1) % len(batches)
    return sent, time.monotonic() - begun


def main() -> None:
    target, port, howlong, source = sys.argv[1:]
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    made.bind((source, 0))
    made.connect((target, int(port)))
    counted = howlong.endswith("x")
    limits = (600.0, float(howlong[:-1])) if counted else (float(howlong), float("inf"))
    print(*send(made, contents(int(port)), *limits))


if __name__ == "__main__":
    main()
