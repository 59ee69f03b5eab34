"""A canary that does not come is an alarm of its own: once for each silence, critical, and sent to people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.mail.model import Envelope
from gatepost.services.canary import FAILED, PASSED
from gatepost.services.keeperd import GRACE, MISSED, Keeperd
from gatepost.services.messages import Note
from gatepost.services.playground import Mailbox, free_port
from gatepost.site.load import loads

INTERVAL = 900.0
LATE = MISSED * INTERVAL + GRACE
SILENT = b"the canary is silent"


@pytest.fixture
def taken() -> list[tuple[Envelope, bytes]]:
    return []


@pytest.fixture
def make(tmp_path: Path, taken: list[tuple[Envelope, bytes]]) -> Iterator:
    """A keeper whose alerts go to a real next hop; the text is put behind the site file."""
    port = free_port()
    mailbox = Mailbox(port, lambda envelope, content: taken.append((envelope, content)))
    mailbox.start()
    made: list[Keeperd] = []

    def make(more: str = "") -> Keeperd:
        site = f'[site]\nname = "Test"\nstate = "{tmp_path}"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "127.0.0.1:{port}"\n'
        made.append(Keeperd(loads(site + more)))
        return made[-1]

    yield make
    for keeper in made:
        keeper.close()


def send(keeper: Keeperd) -> None:
    """Have what was warned of sent now."""
    asyncio.run(keeper._teller._round(time.time()))


def test_three_canaries_that_do_not_come_are_told_once(make, taken: list[tuple[Envelope, bytes]]) -> None:
    keeper = make()
    start, told = keeper._started, 0.0
    for seconds in (0, INTERVAL, LATE - 1):
        told = keeper.missed(told, start + seconds)
    send(keeper)
    assert taken == []

    for seconds in (LATE + 1, LATE + 61, 10 * LATE):
        told = keeper.missed(told, start + seconds)
    send(keeper)
    ((envelope, content),) = taken
    assert envelope.recipients == ("virusalerts@widget.example",)
    assert b"Subject: [Gatepost] 1 x " + SILENT in content
    assert b"gatepost doctor" in content


@pytest.mark.parametrize("kind", [PASSED, FAILED])
def test_a_canary_that_comes_ends_the_silence_and_the_next_silence_is_told_again(make, kind: str) -> None:
    keeper = make()
    told = keeper.missed(0.0, keeper._started + LATE + 1)
    assert told == keeper._started + LATE

    keeper._sung(Note(kind, "canary", {"text": "x"}))
    at = keeper._health().canary.at
    assert keeper.missed(told, at + LATE - 1) == told
    assert keeper.missed(told, at + LATE + 1) == at + LATE


@pytest.mark.parametrize("more", ["[canary]\nenabled = false\n", '[mail.smtp]\nlisten = ""\n[mail.milter]\nlisten = "unix:/run/m.sock"\n'])
def test_a_site_whose_canary_is_off_or_has_no_way_is_never_called_silent(make, more: str) -> None:
    keeper = make(more)

    assert keeper.missed(0.0, keeper._started + 100 * LATE) == 0.0
