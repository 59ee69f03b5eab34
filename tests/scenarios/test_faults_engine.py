"""An engine that is down, frozen, restarted or talks nonsense: nothing passes unscanned, nothing is lost, all that waited comes once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clamd import Clamd, running_clamd
from tests.support.faultclamd import ANSWERS, SPECIAL, FaultClamd, faultclamd
from tests.support.gateway import Gateway
from tests.support.judge import SOUND
from tests.support.ways import EVERY, PROXY_AND_POSTFIX, StartWay, start_way

__all__ = ["faultclamd", "start_way"]

pytestmark = pytest.mark.system

DIRECTIONS = ("inbound", "outbound")
QUICK = ("garbage", "half", "nul", "ok-then-found", "hang", "flood", "refuse", "error")
MODES = (*ANSWERS, *SPECIAL, "no-descriptors")


def with_clamd(address: str) -> str:
    return f'[engines.clamav]\nsocket = "{address}"\ndeadline = "2s"\n'


def ways(quick: str) -> pytest.MarkDecorator:
    """Every way; those that are not `quick` belong to the slow run."""
    return pytest.mark.parametrize("name", [one if one == quick else pytest.param(one, marks=pytest.mark.faults) for one in EVERY])


@ways(quick="proxy")
def test_whatever_an_engine_answers_but_its_exact_word_holds_every_mail(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, faultclamd: FaultClamd
) -> None:
    way = start_way(name, gateway(with_clamd(faultclamd.address)))
    for mode in QUICK if name == "proxy" else MODES:
        faultclamd.mode = mode
        mails = [way.traffic.write(kind, direction) for kind in ("clean", "marked") for direction in DIRECTIONS]
        answers = way.traffic.send(mails)
        allowed = {451, 550} if mode == "ok-then-found" else {451}
        assert set(answers) <= allowed, (mode, answers)
        assert way.sink.delivered == [], mode

    faultclamd.mode = "ok"
    faultclamd.released.set()
    way.traffic.settle()

    assert way.judge("clamav") == SOUND
    assert len(way.sink.delivered) == sum(not one.harmful for one in way.traffic.sent)


@ways(quick="postfix")
def test_with_clamd_stopped_mail_waits_and_comes_once_when_it_is_back(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, home: Path
) -> None:
    with running_clamd(home=home / "clamd") as clamd:
        way = start_way(name, gateway(with_clamd(clamd.address)))
        way.traffic.send(way.traffic.mixed(8))
    waiting = way.traffic.mixed(8)

    assert set(way.traffic.send(waiting)) <= {451, 250}
    assert [one.answers for one in waiting if one.answers != [451] and "banned" not in one.identifier] == []

    with running_clamd(home=home / "clamd"):
        way.traffic.settle()
        assert way.judge("clamav") == SOUND
    assert len(way.sink.delivered) == 8


@ways(quick="")
def test_with_clamd_frozen_mail_waits_and_comes_once_when_it_thaws(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, home: Path
) -> None:
    with running_clamd(home=home / "clamd") as clamd:
        way = start_way(name, gateway(with_clamd(clamd.address)))
        clamd.process.send_signal(signal.SIGSTOP)
        answers = way.traffic.send(way.traffic.mixed(8))
        assert set(answers) <= {451, 250}
        assert way.sink.delivered == []
        clamd.process.send_signal(signal.SIGCONT)
        way.traffic.settle()
        assert way.judge("clamav") == SOUND


@ways(quick="proxy")
def test_clamd_restarted_under_load_costs_no_mail(name: str, gateway: Callable[..., Gateway], start_way: StartWay, home: Path) -> None:
    with running_clamd(home=home / "clamd") as clamd:
        way = start_way(name, gateway(with_clamd(clamd.address)))
        with way.traffic.flowing():
            time.sleep(1)
            clamd.process.kill()
            clamd.process.wait()
            time.sleep(1)
            with running_clamd(home=home / "clamd"):
                time.sleep(1)
            time.sleep(0.5)
    with running_clamd(home=home / "clamd"):
        way.traffic.settle()
        assert way.judge("clamav") == SOUND
    assert any(451 in one.answers for one in way.traffic.sent)
    assert way.sink.delivered


@pytest.mark.faults
@pytest.mark.parametrize("name", PROXY_AND_POSTFIX)
def test_a_lying_engine_is_outvoted_by_an_honest_one(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, faultclamd: FaultClamd, clamd: Clamd
) -> None:
    faultclamd.mode = "lie"
    lying = f'[engines.liar]\nkind = "clamav"\nsocket = "{faultclamd.address}"\n'
    way = start_way(name, gateway(lying + with_clamd(clamd.address)))

    way.traffic.send(way.traffic.mixed(16))

    assert way.judge("clamav", "liar") == SOUND
    assert {one.answers[0] for one in way.traffic.sent if one.harmful} == {550}


def test_one_line_of_the_log_names_the_engine_that_does_not_look(
    gateway: Callable[..., Gateway], start_way: StartWay, faultclamd: FaultClamd
) -> None:
    running = gateway(with_clamd(faultclamd.address))
    way = start_way("proxy", running)
    faultclamd.mode = "refuse"

    way.traffic.send(way.traffic.mixed(8))

    (line,) = [line for line in running.log().splitlines() if "clamav" in line]
    assert "engine-failed" in line
