"""A node whose PostgreSQL goes away: nothing is lost, nothing is there twice, nothing held is let go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support.journal import judged
from tests.support.ports import wait_for
from tests.support.stores import opened

from gatepost.journal import shipped
from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.shipped import ShippedJournal
from gatepost.journal.spool import Spool


@pytest.fixture
def url(postgresql) -> str:
    return postgresql.database()


def node(url: str, tmp_path, name: str = "mx1") -> ShippedJournal:
    return ShippedJournal(Spool(tmp_path / f"{name}.sqlite"), lambda: opened(url, node=name))


def sequences(url: str) -> list[int]:
    store = opened(url)
    found = [link.sequence for link in store.links(0, 100_000)]
    store.verify()
    store.close()
    return found


def test_what_is_written_can_be_read_at_once(url, tmp_path) -> None:
    journal = node(url, tmp_path)
    journal.append([judged(1), judged(2)], sync=True)
    assert len(journal.search(Query())) == 2
    assert (journal.verify().sequence, journal.waiting(), journal.trouble()) == (2, 0, "")
    journal.close()


@pytest.mark.parametrize("event", [Event(1.0, "mail.judged", "ID", {}), judged(1, size=object()), Event(1.0, "mail.deleted", "I", {})])
def test_an_event_that_makes_no_sense_is_refused_before_it_is_promised(url, tmp_path, event) -> None:
    journal = node(url, tmp_path)
    with pytest.raises(JournalError) as caught:
        journal.append([judged(2), event], sync=False)
    assert caught.value.reason == "refused"
    assert journal.search(Query()) == []
    journal.close()


def test_while_the_server_is_away_events_wait_and_nothing_held_is_let_go(postgresql, url, tmp_path) -> None:
    journal = node(url, tmp_path)
    held = judged(0, "quarantined")
    journal.append([held], sync=True)
    assert journal.search(Query())
    postgresql.stop()
    try:
        for number in range(1, 50):
            journal.append([judged(number)], sync=True)
        with pytest.raises(JournalError, match="UNIQUE"):
            journal.append([judged(7)], sync=True)
        wait_for(journal.trouble, "the trouble to be seen")
        for kind in ("mail.releasing", "mail.released", "mail.deleted", "mail.unkept"):
            with pytest.raises(JournalError) as caught:
                journal.append([Event(held.at + 1, kind, held.subject, {"recipient": "joe@widget.example"})], sync=True)
            assert caught.value.reason == "away"
        with pytest.raises(JournalError):
            journal.search(Query())
        assert journal.waiting() == 49
    finally:
        postgresql.start()
    wait_for(lambda: not journal.waiting(), "the spool to be merged")
    assert journal.trouble() == ""
    assert [row.state for row in journal.search(Query(id=held.subject))] == ["quarantined"]
    journal.close()
    assert sequences(url) == list(range(1, 51))


def test_a_server_that_crashes_again_and_again_gets_every_event_once(postgresql, url, tmp_path) -> None:
    journal = node(url, tmp_path)
    for round_ in range(3):
        for number in range(200):
            journal.append([judged(1000 * round_ + number)], sync=False)
            if number == 150:
                postgresql.stop(signal.SIGQUIT)
        postgresql.start()
    wait_for(lambda: not journal.waiting(), "the spool to be merged")
    journal.close()
    assert sequences(url) == list(range(1, 601))


def test_an_answer_that_was_lost_makes_no_double(url, tmp_path, monkeypatch) -> None:
    """The server committed, and the connection broke before it could say so."""
    journal = node(url, tmp_path)
    journal.append([judged(0)], sync=True)
    journal.search(Query())
    remote = type(journal._remote)
    receive, lost = remote.receive, []

    def deaf(self, links):
        receive(self, links)
        if len(lost) < 3:
            lost.append(len(links))
            raise JournalError("away", "the connection broke")

    monkeypatch.setattr(shipped, "PAUSE", 0.01)
    monkeypatch.setattr(remote, "receive", deaf)
    for number in range(1, 30):
        journal.append([judged(number)], sync=False)
        time.sleep(0.01)
    wait_for(lambda: not journal.waiting() and not journal.trouble(), "the spool to be merged")
    journal.close()
    assert len(lost) == 3
    assert sequences(url) == list(range(1, 31))


def test_a_server_that_lost_what_it_had_confirmed_gets_it_again(postgresql, url, tmp_path) -> None:
    """What a standby does that was promoted a second too old."""
    journal = node(url, tmp_path)
    journal.append([judged(number) for number in range(5)], sync=True)
    journal.search(Query())
    name = url.split("/")[3].split("?")[0]
    journal.append([judged(number) for number in range(5, 9)], sync=True)
    journal.search(Query())
    hash_ = opened(url).links(4, 1)[0].hash.hex()
    lose = f"""SET search_path = gatepost, public;
        DELETE FROM recipients USING events WHERE message = number AND sequence > 5;
        DELETE FROM messages USING events WHERE messages.number = events.number AND sequence > 5;
        DELETE FROM events WHERE sequence > 5; UPDATE nodes SET sequence = 5, hash = '\\x{hash_}'"""
    postgresql.run(name, lose)
    postgresql.stop(signal.SIGQUIT)
    journal.append([judged(20)], sync=True)
    postgresql.start()
    wait_for(lambda: not journal.waiting() and not journal.trouble(), "the spool to be merged")
    assert len(journal.search(Query())) == 10
    journal.close()
    assert sequences(url) == list(range(1, 11))


def test_a_second_machine_of_the_same_name_is_trouble_and_nothing_is_lost(url, tmp_path) -> None:
    one = node(url, tmp_path)
    one.append([judged(1)], sync=True)
    one.search(Query())
    impostor = opened(url)
    impostor.append([judged(2)], sync=True)
    one.append([judged(3)], sync=True)
    wait_for(lambda: "another" in one.trouble(), "the trouble to be seen")
    assert Spool(tmp_path / "mx1.sqlite").links(1, 9)[0].sequence == 2
    one.close()
    impostor.close()


def test_a_node_starts_again_while_the_server_is_away_and_sends_on_later(postgresql, url, tmp_path) -> None:
    first = node(url, tmp_path)
    first.append([judged(0)], sync=True)
    first.search(Query())
    postgresql.stop()
    try:
        first.append([judged(1)], sync=True)
        wait_for(first.trouble, "the trouble to be seen")
        first.close()
        second = node(url, tmp_path)
        second.append([judged(2)], sync=True)
    finally:
        postgresql.start()
    wait_for(lambda: not second.waiting(), "the spool to be merged")
    second.close()
    assert sequences(url) == [1, 2, 3]


WRITER = """
import sys
from pathlib import Path
from gatepost.journal.shipped import ShippedJournal
from gatepost.journal.spool import Spool
from tests.support.journal import judged
from tests.support.stores import opened
journal = ShippedJournal(Spool(Path(sys.argv[2])), lambda: opened(sys.argv[1]))
for number in range(100000):
    journal.append([judged(number)], sync=False)
    print(number, flush=True)
"""


def test_a_node_that_is_killed_at_any_moment_loses_nothing_and_sends_nothing_twice(url, tmp_path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", WRITER, url, tmp_path / "mx1.sqlite"], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout
        seen = [int(child.stdout.readline()) for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        seen += [int(line) for line in child.stdout.read().split()]
    journal = node(url, tmp_path)
    wait_for(lambda: not journal.waiting(), "the spool to be merged")
    journal.close()
    found = sequences(url)
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= len(seen)


def test_the_spool_lets_go_of_what_was_confirmed_long_ago(tmp_path) -> None:
    spool = Spool(tmp_path / "spool.sqlite")
    spool.begin(opened(str(tmp_path / "empty.db")).head())
    spool.append([judged(number) for number in range(20)], sync=False)
    spool.forget(15, kept=5)
    assert [link.sequence for link in spool.links(0, 100)] == list(range(11, 21))
    assert spool.start().sequence == 10
    spool.append([judged(30)], sync=False)
    assert spool.head().sequence == 21
    spool.close()
