"""Processes that die, reload or end with mails under way: nothing is lost, nothing passes unscanned, nothing comes twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.support.gateway import Gateway
from tests.support.judge import NO_ANSWER, SOUND
from tests.support.ports import wait_for
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

VICTIMS = ("front", "scan worker", "keeper")


def kill(gateway: Gateway, name: str) -> None:
    """Kill all processes of that name and wait until others stand in their place."""
    before = gateway.children(name)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(gateway.children(name)) - set(before)) >= len(before), f"a new {name}")


def slow(name: str, victim: str) -> object:
    return pytest.param(name, victim, marks=pytest.mark.faults)


@pytest.mark.parametrize(
    ("name", "victim"),
    [*(("proxy", victim) for victim in VICTIMS), *(slow(name, one) for name in ("postfix", "sendmail") for one in VICTIMS)],
)
def test_killed_again_and_again_under_load(name: str, victim: str, gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    running = gateway()
    way = start_way(name, running)
    with way.traffic.flowing():
        for _ in range(3 if name == "proxy" else 8):
            time.sleep(0.3)
            kill(running, victim)
    way.traffic.settle()

    assert way.judge() == SOUND
    assert way.sink.delivered
    assert f"{victim} 0 ended" in running.log() or f"{victim} ended" in running.log()


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_the_whole_gateway_killed_under_load_starts_again_beside_what_is_left_of_it(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay
) -> None:
    first = gateway()
    way = start_way(name, first)
    with way.traffic.flowing():
        time.sleep(1)
        first.process.kill()
        first.process.wait()
        time.sleep(0.2)
        again = Gateway(first.home, first.next_hop, first.extra, first.smtp).start()
        time.sleep(1)
    try:
        way.traffic.settle()
        assert way.judge() == SOUND
    finally:
        assert again.stop() == 0


@pytest.mark.parametrize("name", ["proxy", pytest.param("postfix", marks=pytest.mark.faults)])
def test_reloaded_under_load_every_mail_is_answered_and_a_bad_site_changes_nothing(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay
) -> None:
    running = gateway()
    way = start_way(name, running)
    with way.traffic.flowing():
        for extra in ("", "[engines.clamav]\nsokcet = 3\n", ""):
            time.sleep(0.7)
            running.write(extra)
            seen = running.log().count("reloaded")
            running.process.send_signal(signal.SIGHUP)
            wait_for(lambda seen=seen: running.log().count("reloaded") > seen, "the reload")  # type: ignore[misc]
        time.sleep(0.7)
    way.traffic.settle()

    assert way.judge() == SOUND
    assert "not reloaded, the old configuration stays" in running.log()
    assert "sokcet" in running.log()
    first = [one.answers[0] for one in way.traffic.sent]
    put_off = [code for code in first if code == NO_ANSWER or code // 100 == 4]
    assert len(put_off) <= way.traffic.senders * 2, first


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_ended_under_load_it_answers_what_is_under_way(name: str, gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    first = gateway()
    way = start_way(name, first)
    with way.traffic.flowing():
        time.sleep(1)
        assert first.stop() == 0, first.log()
        time.sleep(0.3)
    again = Gateway(first.home, first.next_hop, first.extra, first.smtp).start()
    try:
        way.traffic.settle()
        assert way.judge() == SOUND
        assert not [row for row in again.rows() if row.state == "accepted"]
    finally:
        assert again.stop() == 0
