"""Packets that firewall rules log to a netlink group: the kernel's NFLOG, read without a daemon between.

What it does: binds a group, and gives each logged packet with the rule's prefix, its interfaces and its first bytes.
Not its job: what the packet says (`gatepost.firewall.logged`).
Raises: OSError; EBUSY when another program has the group, EPERM without the right to it (CAP_NET_ADMIN).

The format is that of linux/netfilter/nfnetlink_log.h; attributes are those of netlink(7), in the byte order of the network.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_NETFILTER = 12
_PACKET, _CONFIG = 4 << 8, 4 << 8 | 1
_REQUEST, _ACK, _ERROR = 1, 4, 2
_COMMAND, _MODE, _TIMEOUT, _BIND = 1, 2, 4, 1
_INCOMING, _OUTGOING, _PAYLOAD, _PREFIX = 4, 5, 9, 10
_COPY_PACKET = 2
_KIND = 0x3FFF
"""The bits of an attribute's type that are not flags."""

COPY = 128
"""Bytes of each packet that are wanted: every header that tells who tried what."""
BUFFER = 4 << 20
"""Bytes that the kernel may hold for us."""
PATIENCE = 10
"""Hundredths of a second that the kernel may wait for more packets to hand over together."""
AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Logged:
    """One logged packet. Interfaces are "" where the packet has none, or one that is gone; `content` begins with the IP header."""

    prefix: str
    incoming: str
    outgoing: str
    content: bytes


class Nflog:
    """The packets of one group of this network namespace. `lost` counts how often the kernel had no room and threw some away."""

    def __init__(self, group: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self.lost = 0
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._ask(group, _attribute(_COMMAND, bytes([_BIND])))
            self._ask(group, _attribute(_MODE, struct.pack("!IBx", COPY, _COPY_PACKET)))
            self._ask(group, _attribute(_TIMEOUT, struct.pack("!I", PATIENCE)))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Ready to read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the group back."""
        self._socket.close()

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def _ask(self, group: int, attribute: bytes) -> None:
        body = struct.pack("!BBH", socket.AF_UNSPEC, 0, group) + attribute
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _CONFIG, _REQUEST | _ACK, 0, 0) + body)
        for kind, answer in _messages(self._socket.recv(AT_ONCE)):
            if kind == _ERROR and (code := struct.unpack_from("=i", answer)[0]):
                raise OSError(-code, os.strerror(-code), f"NFLOG group {group}")

    def read(self) -> Iterator[Logged]:
        """What waits; nothing when nothing does."""
        try:
            received = self._socket.recv(AT_ONCE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.lost += 1
            return
        for kind, body in _messages(received):
            if kind == _PACKET:
                yield _logged(dict(_attributes(body[4:])))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    """The netlink messages of one datagram: type and body."""
    while len(received) >= 16:  # noqa: PLR2004 - the header of netlink(7)
        size, kind = struct.unpack_from("=IH", received)
        yield kind, received[16:size]
        received = received[(max(size, 16) + 3) & ~3 :]


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    while len(body) >= 4:  # noqa: PLR2004 - the header of an attribute
        size, kind = struct.unpack_from("=HH", body)
        yield kind & _KIND, body[4:size]
        body = body[(max(size, 4) + 3) & ~3 :]


def _logged(found: dict[int, bytes]) -> Logged:
    prefix = found.get(_PREFIX, b"").rstrip(b"\0").decode("utf-8", "replace")
    return Logged(prefix, _interface(found.get(_INCOMING)), _interface(found.get(_OUTGOING)), found.get(_PAYLOAD, b""))


def _interface(index: bytes | None) -> str:
    if index:
        with contextlib.suppress(OSError):
            return socket.if_indextoname(int.from_bytes(index, "big"))
    return ""
