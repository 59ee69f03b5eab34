"""The power fails right after the 250: whatever was promised is on the disk, in quarantine and journal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.journal.interface import Query
from gatepost.journal.store import SqliteJournal
from tests.support.failpoints import program
from tests.support.gateway import Gateway
from tests.support.judge import Evidence, Sent
from tests.support.matrix import CONDEMNED, INVARIANT, OUTCOME
from tests.support.powercut import after_a_cut, disk
from tests.support.traffic import BANNED
from tests.support.ways import StartWay, Way, start_way

__all__ = ["start_way"]

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("as_root")]

MAILS = 20


@pytest.fixture
def platter(home: Path) -> Iterator[Path]:
    """The image of the disk that holds the first gateway's state."""
    with disk(home / "disk.img", home / "gateway-0/state"):
        yield home / "disk.img"


def kept(way: Way, state: Path) -> list[Sent]:
    """Promised mails that a state found after the cut can give back, and that its journal knows."""
    held = Evidence.of(state, ()).held
    journal = SqliteJournal(state / "journal.sqlite")
    told = {row.digest for row in journal.search(Query(limit=1000))}
    journal.close()
    return [one for one in way.traffic.sent if one.promised and one.digest in held & told]


def test_all_of_twenty_kept_mails_are_there_after_a_power_cut(
    platter: Path, gateway: Callable[..., Gateway], start_way: StartWay, home: Path, record_property: Callable[[str, object], None]
) -> None:
    """Cut after each of them, since a later sync of another mail must not help the one before."""
    way = start_way("proxy", gateway())
    for number in range(1, MAILS + 1):
        assert way.traffic.attempt(way.traffic.write(BANNED)) == 250
        if number in {1, 2, MAILS // 2, MAILS}:
            with after_a_cut(platter, home / "after") as state:
                assert len(kept(way, state)) == number
    record_property(OUTCOME, f"{MAILS} of {MAILS} kept mails in quarantine and journal")


def test_a_gateway_that_does_not_sync_is_found_out(
    platter: Path, gateway: Callable[..., Gateway], start_way: StartWay, home: Path, record_property: Callable[[str, object], None]
) -> None:
    """The negative control."""
    running = gateway(program=program(sabotage="syncs nothing"))
    os.sync()
    way = start_way("proxy", running)
    assert set(way.traffic.send([way.traffic.write(BANNED) for _ in range(4)])) == {250}

    with after_a_cut(platter, home / "after") as state:
        shutil.copytree(running.home / "state/keys", state / "keys", dirs_exist_ok=True)  # they were lost too
        assert kept(way, state) == []
    record_property(INVARIANT, CONDEMNED)
