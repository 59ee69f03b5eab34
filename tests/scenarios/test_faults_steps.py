"""Processes killed (SIGKILL) at each named step of a mail's way, in particular on both sides of the commit and of the 250."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.failpoints import STEPS, program
from tests.support.gateway import Gateway
from tests.support.judge import SOUND
from tests.support.ports import wait_for
from tests.support.traffic import BANNED
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

QUICK = {"front: before the client's 250", "front: after the client's 250", "keeper: before the commit", "keeper: after the commit"}
KILLS = 3


def by(step: str) -> str:
    """The way that comes to the step."""
    return "postfix" if "milter" in step else "proxy"


@pytest.mark.parametrize("step", [one if one in QUICK else pytest.param(one, marks=pytest.mark.faults) for one in STEPS])
def test_killed_at_a_step(step: str, gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    running = gateway(program=program(step, KILLS))
    way = start_way(by(step), running)
    who = step.partition(":")[0]
    with way.traffic.flowing():
        wait_for(lambda: deaths(running, who) == KILLS, f"{KILLS} deaths", 60)
    way.traffic.settle()

    assert way.judge() == SOUND
    assert deaths(running, who) == KILLS
    assert way.sink.delivered


def deaths(gateway: Gateway, who: str) -> int:
    """How often the supervisor said that one of them ended."""
    lines = (gateway.home / "log").read_text().splitlines()
    return sum(who in line and "ended" in line for line in lines)


def test_a_keeper_that_answers_before_it_writes_is_condemned(gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    """The negative control: the same kill, and a promise that came too early."""
    way = start_way("proxy", gateway(program=program("keeper: before the quarantine", 1, "answers before it writes")))
    mails = [way.traffic.write(BANNED) for _ in range(8)]
    way.traffic.send(mails)
    way.traffic.settle()

    lost = way.judge().lost
    assert lost
    assert {one.identifier for one in mails if one.promised} >= set(lost)
