"""The internal server is down for a day: mail waits on the relay, and then each mail comes once. After five days the sender hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.fakeclock import FakeClock, fake_clock
from tests.support.gateway import Gateway
from tests.support.mails import mail, send
from tests.support.ports import wait_for
from tests.support.relays import Relay
from tests.support.sink import Delivered, Sink

pytestmark = pytest.mark.system

SUBJECTS = ("one", "two", "three")
NULL = "<>"
"""How the sink writes the null sender."""
TRIES = 1.5
"""Seconds for a run of the queue; the tests' relays run it every second."""


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    with fake_clock() as made:
        yield made


def take(server: Relay) -> None:
    """The relay takes a mail of each subject while the server is down."""
    for subject in SUBJECTS:
        assert send(server.port, mail(subject))[0] == 250, server.log()


def pass_hours(clock: FakeClock, server: Relay, *hours: int) -> None:
    """The queue is run in each of these hours."""
    for hour in hours:
        clock.set(f"+{hour}h")
        server.flush()
        time.sleep(TRIES)


def sorted_out(got: list[Delivered]) -> tuple[list[str], list[bytes]]:
    """Subjects of mails to bob, and notices of the relay itself."""
    subjects = [next(name for name in SUBJECTS if b"Subject: %b\r\n" % name.encode() in one.content) for one in got if one.sender != NULL]
    return sorted(subjects), [one.content for one in got if one.sender == NULL]


def test_after_a_day_without_the_internal_server_each_mail_comes_once(
    gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink, clock: FakeClock
) -> None:
    server = relay(gateway().milter, environment=clock.environment)
    sink.stop()
    take(server)

    pass_hours(clock, server, 1, 3, 12, 24)
    assert server.queued() >= len(SUBJECTS), server.log()
    back = Sink(port=sink.port)
    try:
        server.flush()
        wait_for(lambda: server.queued() == 0, f"an empty queue: {server.log()}", 60)
        pass_hours(clock, server, 25)
        subjects, notices = sorted_out(back.delivered)
    finally:
        back.stop()

    assert subjects == sorted(SUBJECTS)
    assert len(notices) == len(SUBJECTS), "one warning for each mail, that it is late"


@pytest.mark.slow
def test_after_five_days_the_sender_hears_that_nobody_got_it(
    gateway: Callable[..., Gateway], relay: Callable[..., Relay], sink: Sink, clock: FakeClock
) -> None:
    server = relay(gateway().milter, environment=clock.environment)
    sink.stop()
    take(server)

    pass_hours(clock, server, 119)
    assert server.queued() >= len(SUBJECTS), server.log()
    pass_hours(clock, server, 121)
    back = Sink(port=sink.port)
    try:
        server.flush()
        wait_for(lambda: server.queued() == 0, f"an empty queue: {server.log()}", 60)
        subjects, notices = sorted_out(back.delivered)
    finally:
        back.stop()

    assert subjects == []
    assert sum(b"Action: failed" in one for one in notices) == len(SUBJECTS)
