"""The judge itself: each way of going wrong, made on purpose, must be seen. A judge that cannot condemn proves nothing."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.faultclamd import FaultClamd, faultclamd
from tests.support.gateway import Gateway
from tests.support.judge import NO_ANSWER, SOUND, Evidence, judge
from tests.support.sink import Delivered, Sink
from tests.support.traffic import BANNED, CLEAN, MARKED, Traffic
from tests.support.ways import StartWay, start_way

__all__ = ["faultclamd", "start_way"]

pytestmark = pytest.mark.system

CARELESS = """
[[policy.rules]]
name = "careless"
findings = ["unchecked"]
then = "deliver"
unscanned = true
reason = "a test of the judge"
"""


@pytest.mark.parametrize("name", ["proxy", pytest.param("postfix", marks=pytest.mark.faults)])
def test_a_site_that_delivers_unchecked_mail_is_condemned(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, faultclamd: FaultClamd
) -> None:
    engine = f'[engines.clamav]\nsocket = "{faultclamd.address}"\n'
    way = start_way(name, gateway(engine + CARELESS))
    faultclamd.mode = "garbage"
    clean, marked = way.traffic.write(CLEAN), way.traffic.write(MARKED)

    assert way.traffic.send([clean, marked]) == [250, 250]
    way.sink.wait(2)

    assert way.judge("clamav").unscanned == (clean.identifier, marked.identifier)


def test_mail_that_went_past_the_gateway_is_condemned_and_so_is_a_borrowed_receipt(
    gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink
) -> None:
    way = start_way("proxy", gateway())
    honest, past, ghost = (way.traffic.write(CLEAN) for _ in range(3))
    way.traffic.send([honest])
    assert way.judge() == SOUND

    receipt = re.search(rb"X-Gatepost-Scan: .*\r\n(?:[ \t].*\r\n)*", sink.delivered[0].content)
    assert receipt
    for content in (past.content, receipt[0] + ghost.content):
        with smtplib.SMTP("127.0.0.1", sink.port) as client:
            client.sendmail("carol@partner.example", ["bob@widget.example"], content)

    condemned = way.judge()
    assert condemned.unscanned == condemned.ghost == tuple(sorted((past.identifier, ghost.identifier)))


def test_what_was_promised_must_be_there_once(gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink) -> None:
    way = start_way("proxy", gateway())
    clean, kept = way.traffic.write(CLEAN), way.traffic.write(BANNED)
    assert way.traffic.send([clean, kept]) == [250, 250]
    assert way.judge() == SOUND

    assert way.judge("clamav").unscanned == (clean.identifier,)
    sink.delivered.append(sink.delivered[0])
    assert way.judge().twice == (clean.identifier,)
    sink.delivered.clear()
    assert way.judge().lost == (clean.identifier,)
    for path in (way.gateway.home / "state/quarantine").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-1])
    assert way.judge().lost == (kept.identifier, clean.identifier)


def test_an_answer_that_was_never_heard_explains_a_second_delivery_but_not_a_third() -> None:
    one = Traffic(0).write(CLEAN)
    one.answers = [NO_ANSWER, 250]
    delivered = Delivered("carol@partner.example", (one.recipient,), one.content)
    evidence = replace(Evidence(None, ()))  # type: ignore[arg-type]

    assert judge([one], [delivered] * 2, evidence).twice == ()
    assert judge([one], [delivered] * 3, evidence).twice == (one.identifier,)
    one.answers = [451, 550]
    assert judge([one], [delivered], evidence).ghost == (one.identifier,)
