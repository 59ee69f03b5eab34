"""Framed messages with descriptors between our own processes, over Unix stream sockets.

What it does: cuts a byte stream into frames and hands each its descriptor; one end blocks (`Channel`), the other lives on an
event loop (`AsyncChannel`).
Not its job: what a frame means.
Raises: `ChannelError` when the other end breaks the framing; `OSError` from the socket.

A frame is a 4-byte big-endian length, whose highest bit says that a descriptor belongs to it, then the payload. The kernel may
deliver a descriptor with bytes of an earlier frame, never of a later one, so descriptors wait in a queue for their frame.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable

from gatepost.system.sockets import Credentials, credentials

_LENGTH = struct.Struct("!I")
_WITH_DESCRIPTOR = 1 << 31
_LIMIT = 64 << 20
_CHUNK = 1 << 16
_ANCILLARY = socket.CMSG_SPACE(8 * array.array("i").itemsize)

Frame = tuple[bytes, int | None]


class ChannelError(Exception):
    """The other end sent something that is no frame."""


def encode(payload: bytes, *, descriptor: bool = False) -> bytes:
    """One frame as bytes."""
    if len(payload) > _LIMIT:
        raise ChannelError(f"a frame of {len(payload)} bytes is over the limit of {_LIMIT}")
    return _LENGTH.pack(len(payload) | (_WITH_DESCRIPTOR if descriptor else 0)) + payload


class Frames:
    """Bytes and descriptors in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: list[int]) -> list[Frame]:
        """Take what one receive call gave; return the frames that are whole now."""
        self._buffer += data
        self._descriptors.extend(descriptors)
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (word,) = _LENGTH.unpack_from(self._buffer)
        size = word & ~_WITH_DESCRIPTOR
        if size > _LIMIT:
            raise ChannelError(f"a frame of {size} bytes is over the limit of {_LIMIT}")
        end = _LENGTH.size + size
        if len(self._buffer) < end:
            return None
        payload = bytes(memoryview(self._buffer)[_LENGTH.size : end])
        del self._buffer[:end]
        return payload, self._descriptor() if word & _WITH_DESCRIPTOR else None

    def _descriptor(self) -> int:
        if not self._descriptors:
            raise ChannelError("a frame came without its descriptor")
        return self._descriptors.popleft()

    def close(self) -> None:
        """Close descriptors that no frame claimed."""
        while self._descriptors:
            os.close(self._descriptors.popleft())


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    data, ancillary, _flags, _address = sock.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, descriptors.tolist()


def _rights(descriptor: int | None) -> list[tuple[int, int, array.array[int]]]:
    if descriptor is None:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]


class Channel:
    """The blocking end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames = Frames()
        self._ready: deque[Frame] = deque()

    def send(self, payload: bytes, descriptor: int | None = None) -> None:
        """Send one frame, with a descriptor if given (it stays open here)."""
        frame = encode(payload, descriptor=descriptor is not None)
        sent = self._sock.sendmsg([frame], _rights(descriptor))
        self._sock.sendall(memoryview(frame)[sent:])

    def receive(self) -> Frame | None:
        """Wait for the next frame; None when the other end is gone."""
        while not self._ready:
            data, descriptors = _receive(self._sock)
            if not data:
                self._frames.close()
                return None
            self._ready.extend(self._frames.feed(data, descriptors))
        return self._ready.popleft()

    def close(self) -> None:
        """Hang up."""
        self._frames.close()
        self._sock.close()


class AsyncChannel:
    """The end on an event loop: frames arrive at `on_frame(payload, descriptor)`, the end of all at `on_close()`."""

    def __init__(self, sock: socket.socket, on_frame: Callable[[bytes, int | None], None], on_close: Callable[[], None]) -> None:
        sock.setblocking(False)  # noqa: FBT003 the socket's own interface
        self._sock = sock
        self._frames = Frames()
        self._on_frame = on_frame
        self._on_close = on_close
        self._unsent: deque[tuple[memoryview, int | None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)
        self._full = False
        self.closed = False

    @property
    def peer(self) -> Credentials:
        """Who connected, as the kernel knows it."""
        return credentials(self._sock)

    def send(self, payload: bytes, descriptor: int | None = None) -> None:
        """Send one frame as soon as the socket takes it. The descriptor may be closed at once: what has to wait keeps a copy."""
        if self.closed:
            raise BrokenPipeError("the channel is closed")
        data = memoryview(encode(payload, descriptor=descriptor is not None))
        if not self._unsent:
            try:
                sent = self._sock.sendmsg([data], _rights(descriptor))
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data, descriptor = data[sent:], None if sent else descriptor
        self._unsent.append((data, None if descriptor is None else os.dup(descriptor)))
        self._writable()

    def _writable(self) -> None:
        try:
            while self._unsent:
                data, descriptor = self._unsent[0]
                sent = self._sock.sendmsg([data], _rights(descriptor))
                if descriptor is not None:
                    os.close(descriptor)
                self._unsent[0] = (data[sent:], None)
                if sent == len(data):
                    self._unsent.popleft()
        except BlockingIOError:
            self._full = True
            self._loop.add_writer(self._sock, self._writable)
        except OSError:
            self.close()
        else:
            if self._full:
                self._full = False
                self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            data, descriptors = _receive(self._sock)
            frames = self._frames.feed(data, descriptors)
        except BlockingIOError:
            return
        except (OSError, ChannelError):
            self.close()
            return
        for payload, descriptor in frames:
            self._on_frame(payload, descriptor)
        if not data:
            self.close()

    def close(self) -> None:
        """Hang up, once."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._frames.close()
        for _data, descriptor in self._unsent:
            if descriptor is not None:
                os.close(descriptor)
        self._unsent.clear()
        self._on_close()
