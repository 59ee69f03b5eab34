"""Real Postfix and real Sendmail with our milter, real clamd behind it, in both directions."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clamd import Clamd
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, mail, send
from tests.support.ports import wait_for
from tests.support.postfix import Postfix
from tests.support.sendmail import Sendmail
from tests.support.sink import Sink

Mta = Postfix | Sendmail

INBOUND = ("carol@partner.example", ("bob@widget.example",))
OUTBOUND = ("bob@widget.example", ("carol@partner.example",))


def with_clamd(clamd: Clamd) -> str:
    return f'[engines.clamav]\nsocket = "{clamd.address}"\n'


def sendmail_milter(name: str) -> str:
    return f"INPUT_MAIL_FILTER(`gatepost', `S={name}, F=T, T=C:10s;S:30s;R:30s;E:2m')dnl"


@pytest.fixture(params=["postfix", "sendmail"])
def mta(request: pytest.FixtureRequest, home: Path, sink: Sink) -> Iterator[Callable[[Gateway], Mta]]:
    """Start one of the two behind which the sink stands."""
    started: list[Mta] = []

    def start(gateway: Gateway) -> Mta:
        if request.param == "postfix":
            started.append(Postfix(home / "postfix", sink.port, milters=gateway.milter).start())
        else:
            started.append(Sendmail(home / "sendmail", sink.port, milters=sendmail_milter(gateway.milter)).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize(("sender", "recipients"), [INBOUND, OUTBOUND], ids=["inbound", "outbound"])
def test_clean_mail_arrives_scanned_and_infected_mail_is_refused(
    sender: str, recipients: tuple[str, ...], gateway: Callable[..., Gateway], mta: Callable[[Gateway], Mta], clamd: Clamd, sink: Sink
) -> None:
    running = gateway(with_clamd(clamd))
    server = mta(running)

    answers = {name: send(server.port, content, sender, recipients)[0] for name, content in INFECTED.items()}
    code, _text = send(server.port, CLEAN, sender, recipients)

    assert code == 250
    assert set(answers.values()) == {550}
    (delivered,) = sink.wait(1)
    assert b"clamav/" in delivered.content
    assert delivered.content.count(b"X-Gatepost-Scan: ") == 1
    assert delivered.content.split(b"\r\n\r\n", 1)[1] == CLEAN.split(b"\r\n\r\n", 1)[1]
    assert sorted(row.state for row in running.rows(count=4)) == ["delivered", "rejected", "rejected", "rejected"]


def test_with_the_filter_dead_mail_waits_and_is_delivered_once_scanned(
    gateway: Callable[..., Gateway], mta: Callable[[Gateway], Mta], sink: Sink
) -> None:
    first = gateway()
    server = mta(first)
    first.process.kill()
    first.process.wait()

    assert send(server.port, CLEAN)[0] // 100 == 4

    again = Gateway(first.home, sink.port)
    again.smtp = first.smtp
    again.start()
    try:
        assert send(server.port, CLEAN)[0] == 250
        assert len(sink.wait(1)) == 1
    finally:
        again.stop()


def test_a_banned_file_is_kept_and_the_sender_hears_nothing_bad(
    gateway: Callable[..., Gateway], mta: Callable[[Gateway], Mta], sink: Sink
) -> None:
    running = gateway()
    server = mta(running)

    assert send(server.port, mail("program", file=("setup.exe", b"MZ" + bytes(300))))[0] == 250

    (row,) = running.rows(count=1)
    assert (row.state, row.kept) == ("quarantined", True)
    wait_for(lambda: server.queued() == 0, "an empty queue")
    assert sink.delivered == []
