"""More mail than can be looked at: what is one too many is put off at once, the rest is answered, memory stays, and it recovers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.gateway import Gateway
from tests.support.judge import SOUND
from tests.support.memory import private, proportional
from tests.support.ports import wait_for
from tests.support.traffic import CLEAN
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

QUEUE = 1_000
"""Mails that may wait for a scan worker."""
GROWTH = 64 << 20
"""Bytes: a queue full of small mails, and what else a front takes for good."""


@pytest.mark.faults
def test_beyond_its_queue_it_puts_mail_off_at_once_and_serves_on(gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    """The workers stand still, so that the queue fills whatever the machine can do."""
    running = gateway()
    way = start_way("proxy", running)
    front = running.only("front")
    before = private(front)
    workers = running.children("scan worker")
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    mails = [way.traffic.write(CLEAN) for _ in range(QUEUE + 200)]
    with ThreadPoolExecutor(len(mails)) as pool:
        answers = [pool.submit(way.traffic.attempt, one) for one in mails]
        wait_for(lambda: sum(one.done() for one in answers) >= 100, "answers while all workers stand still", 60)
        early = Counter(one.result() for one in answers if one.done())
        grown = private(front) - before
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    way.traffic.settle()

    assert set(early) == {451}
    assert grown < GROWTH
    assert way.judge() == SOUND
    assert Counter(one.answers[0] for one in mails)[250] >= QUEUE
    assert way.traffic.send(way.traffic.mixed(8)) == [250, 250, 550, 550, 250, 250, 250, 250]


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.faults)])
def test_killed_while_it_reloads_the_old_or_the_new_serves_and_nothing_is_lost(
    rounds: int, gateway: Callable[..., Gateway], start_way: StartWay
) -> None:
    """The supervisor gets SIGHUP, and SIGKILL at another moment of the reload each time; then it is started again."""
    dice = random.Random(rounds)
    first = gateway()
    way = start_way("proxy", first)
    serving = first
    with way.traffic.flowing():
        for _ in range(rounds):
            time.sleep(0.3)
            serving.process.send_signal(signal.SIGHUP)
            time.sleep(dice.uniform(0, 1.0))
            serving.process.kill()
            serving.process.wait()
            serving = Gateway(first.home, first.next_hop, first.extra, first.smtp).start()
    try:
        way.traffic.settle()
        assert way.judge() == SOUND
        assert way.sink.delivered
    finally:
        assert serving.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_is_flat_over_twenty_thousand_mails(gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    """After 5,000 mails everything that is kept for good has been made; 15,000 more must not add to it."""
    running = gateway()
    way = start_way("proxy", running)

    def send(count: int) -> dict[str, int]:
        for _ in range(0, count, 500):
            way.traffic.send(way.traffic.mixed(500))
        return {kind: sum(map(proportional, running.children(kind))) for kind in ("front", "keeper", "scan worker")}

    early = send(5_000)
    late = send(15_000)

    assert way.judge() == SOUND
    assert all(late[kind] < early[kind] * 1.1 + (4 << 20) for kind in early), (early, late)
