"""The ways by which mail reaches a gateway: its own SMTP proxy, or an MTA with our milter. Import `start_way` as a fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import matrix
from tests.support.gateway import Gateway
from tests.support.judge import Evidence, Judgement, judge
from tests.support.ports import wait_for
from tests.support.postfix import Postfix
from tests.support.sendmail import Sendmail
from tests.support.sink import Sink
from tests.support.traffic import BANNED, CLEAN, INFECTED, MARKED, Traffic

MILTER = "INPUT_MAIL_FILTER(`gatepost', `S={name}, F=T, T=C:10s;S:30s;R:30s;E:2m')dnl"

PROXY_AND_POSTFIX = ("proxy", "postfix")
EVERY = (*PROXY_AND_POSTFIX, "sendmail")


@dataclass
class Way:
    """A gateway, what stands before it, what stands behind it, and the mails that were sent that way."""

    gateway: Gateway
    mta: Postfix | Sendmail | None
    sink: Sink
    traffic: Traffic
    judgements: list[Judgement] = field(default_factory=list)

    def judge(self, *engines: str) -> Judgement:
        """Wait until the MTA has nothing left, then judge; `engines` must have looked at each mail besides the embedded ones."""
        if self.mta is not None:
            wait_for(lambda: self.mta is not None and not self.mta.queued(), "an empty queue", 60)
        evidence = Evidence.of(self.gateway.home / "state", ("yara", "banned", *engines))
        self.judgements.append(judge(self.traffic.sent, self.sink.delivered, evidence))
        return self.judgements[-1]


StartWay = Callable[[str, Gateway], Way]


@pytest.fixture
def start_way(request: pytest.FixtureRequest, home: Path, sink: Sink) -> Iterator[StartWay]:
    """Put one of the ways before a running gateway."""
    started: list[Postfix | Sendmail] = []
    ways: list[Way] = []

    def start(name: str, gateway: Gateway) -> Way:
        kinds = (CLEAN, MARKED if "clamav" in gateway.extra else INFECTED, CLEAN, BANNED)
        if name == "postfix":
            started.append(Postfix(home / "postfix", sink.port, milters=gateway.milter).start())
        elif name == "sendmail":
            started.append(Sendmail(home / "sendmail", sink.port, milters=MILTER.format(name=gateway.milter)).start())
        mta = None if name == "proxy" else started[-1]
        ways.append(Way(gateway, mta, sink, Traffic(mta.port if mta else gateway.smtp, forwarded=mta is None, kinds=kinds)))
        return ways[-1]

    yield start
    for one in started:
        one.stop()
    for way in ways:
        matrix.note(request.node, way.traffic.sent, len(sink.delivered), way.judgements)
