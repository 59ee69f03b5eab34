"""Frames and descriptors between processes."""

import asyncio
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.system.channel import AsyncChannel, Channel, ChannelError, Frames, encode


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(min_value=1, max_value=50))
def test_frames_survive_any_cutting(payloads: list[bytes], step: int) -> None:
    stream = b"".join(encode(payload) for payload in payloads)
    frames = Frames()

    got = [frame for at in range(0, len(stream), step) for frame in frames.feed(stream[at : at + step], [])]

    assert [(payload, None) for payload in payloads] == got


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(ChannelError, match="over the limit"):
        Frames().feed(b"\x7f\xff\xff\xff", [])


def test_a_frame_that_lacks_its_descriptor_is_refused() -> None:
    with pytest.raises(ChannelError, match="without its descriptor"):
        Frames().feed(encode(b"x", descriptor=True), [])


def test_descriptors_reach_their_frames_in_order_between_two_blocking_ends() -> None:
    left, right = socket.socketpair()
    sender, receiver = Channel(left), Channel(right)
    pipes = [os.pipe() for _ in range(3)]
    for number, (reader, _writer) in enumerate(pipes):
        sender.send(b"plain %d" % number)
        sender.send(b"with %d" % number, reader)

    for number, (_reader, writer) in enumerate(pipes):
        assert receiver.receive() == (b"plain %d" % number, None)
        frame = receiver.receive()
        assert frame is not None
        payload, descriptor = frame
        assert payload == b"with %d" % number
        assert descriptor is not None
        os.write(writer, b"%d" % number)
        assert os.read(descriptor, 10) == b"%d" % number
        os.close(descriptor)

    sender.close()
    assert receiver.receive() is None


def test_an_event_loop_end_sends_large_frames_to_a_slow_reader_and_notices_the_end() -> None:
    async def scenario() -> tuple[list[bytes], bool]:
        left, right = socket.socketpair()
        got: list[bytes] = []
        closed = asyncio.Event()
        AsyncChannel(right, lambda payload, _descriptor: got.append(payload), closed.set)
        sender = AsyncChannel(left, lambda _payload, _descriptor: None, lambda: None)
        with open("/dev/null", "rb") as null:
            for number in range(4):
                sender.send(b"%d" % number * 300_000, null.fileno())
        while len(got) < 4:
            await asyncio.sleep(0.01)
        sender.close()
        await asyncio.wait_for(closed.wait(), 5)
        return got, closed.is_set()

    got, closed = asyncio.run(scenario())

    assert [b"%d" % number * 300_000 for number in range(4)] == got
    assert closed
