"""A next hop behind the proxy that refuses, stands still or hangs up: its word is ours, and what it may have taken is explained."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.gateway import Gateway
from tests.support.judge import NO_ANSWER, SOUND, Evidence, judge
from tests.support.nexthop import FaultyHop
from tests.support.sink import Delivered
from tests.support.traffic import BANNED, CLEAN, INFECTED, Traffic

EVERYWHERE = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot")


@pytest.fixture
def hop() -> Iterator[FaultyHop]:
    """A faulty next hop on a thread of its own."""
    ready, end, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    server = FaultyHop()

    async def serve() -> None:
        async with server:
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield server
    loop.call_soon_threadsafe(end.set)
    thread.join(10)


def delivered(hop: FaultyHop) -> list[Delivered]:
    return [Delivered(one.mail, tuple(one.recipients), one.content) for one in hop.taken if b"From: Gatepost <" not in one.content[:2000]]


@pytest.mark.parametrize(
    "fault",
    [
        "451 4.3.0 later",
        *(pytest.param(one, marks=pytest.mark.faults) for one in ("554 5.7.1 never", "421 4.3.2 stop", "999 what", "drop")),
    ],
)
def test_what_a_next_hop_refuses_at_any_step_its_sender_hears_and_nothing_is_lost(
    fault: str, gateway: Callable[..., Gateway], hop: FaultyHop
) -> None:
    running = gateway(next_hop=hop.port)
    traffic = Traffic(running.smtp, forwarded=True)
    for step in EVERYWHERE:
        hop.faults = {step: fault}
        mails = [traffic.write(kind) for kind in (CLEAN, INFECTED, BANNED)]
        answers = traffic.send(mails)
        assert answers[0] // 100 == (5 if fault.startswith("554") and step not in {"greeting", "EHLO"} else 4), (step, answers)
        hop.drop_all()
    hop.faults = {}
    traffic.settle()

    assert judge(traffic.sent, delivered(hop), Evidence.of(running.home / "state", ("yara",))) == SOUND


def test_a_next_hop_that_takes_a_mail_and_hangs_up_makes_the_one_explained_double(gateway: Callable[..., Gateway], hop: FaultyHop) -> None:
    """RFC 5321 4.5.3.2.6: who has no answer to the final dot must send again. The proxy's sender is told to."""
    running = gateway(next_hop=hop.port)
    traffic = Traffic(running.smtp, forwarded=True)
    hop.faults = {"dot": "take and drop"}
    mail = traffic.write(CLEAN)
    assert traffic.attempt(mail) == 451
    hop.faults = {}
    traffic.settle()

    assert len(delivered(hop)) == 2
    mail.answers[0] = NO_ANSWER  # what the next hop did, and what our 451 stands for
    assert judge(traffic.sent, delivered(hop), Evidence.of(running.home / "state", ("yara",))) == SOUND


@pytest.mark.faults
def test_a_next_hop_that_stands_still_holds_up_only_its_own_mail(gateway: Callable[..., Gateway], hop: FaultyHop) -> None:
    running = gateway(next_hop=hop.port)
    traffic = Traffic(running.smtp, forwarded=True, patience=1.0)
    hop.faults = {"dot": "hang"}
    assert traffic.send([traffic.write(CLEAN) for _ in range(8)]) == [NO_ANSWER] * 8
    assert traffic.attempt(traffic.write(INFECTED)) == 550
    hop.faults = {}
    traffic.patience = 60.0
    traffic.settle()

    assert judge(traffic.sent, delivered(hop), Evidence.of(running.home / "state", ("yara",))) == SOUND
