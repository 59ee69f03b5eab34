"""A journal moves to the other store and back without a difference, whatever interrupts it."""

from __future__ import annotations

import itertools
import time

import pytest
from tests.support.journal import finding, judged
from tests.support.stores import opened

from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.move import move


def filled(journal, count: int) -> None:
    """Mail of all kinds, some of it moved on later."""
    group = []
    for number in range(count):
        infected = number % 50 == 0
        event = judged(number, "quarantined" if infected else "accepted", findings=[finding()] if infected else [])
        kind = "mail.released" if number % 100 == 0 else "mail.delivered"
        group.append(event)
        if (kind == "mail.delivered" and not infected) or number % 100 == 0:
            group.append(Event(event.at + 0.5, kind, event.subject, {"recipient": "joe@widget.example"}))
        if len(group) > 1000:
            journal.append(group, sync=False)
            group = []
    journal.append([*group, Event(1_700_000_000.0 + count, "site.loaded", "site", {})], sync=True)


def there_and_back(url: str, tmp_path, mails: int) -> dict[str, float]:
    """Move so many mails from SQLite to PostgreSQL and back; gives the seconds of each step."""
    here, there, back = opened(str(tmp_path / "here.db")), opened(url), opened(str(tmp_path / "back.db"))
    steps = [time.perf_counter()]
    filled(here, mails)
    steps.append(time.perf_counter())
    first = move(here, there, lambda done, end: None)
    steps.append(time.perf_counter())
    second = move(there, back, lambda done, end: None)
    steps.append(time.perf_counter())
    assert first.compared
    assert second.compared
    assert first == second
    assert first.hash == here.verify().hash
    assert first.new == here.look().events
    for journal in (here, there, back):
        journal.close()
    names = ("write", "to PostgreSQL", "back to SQLite")
    return dict(zip(names, (after - before for before, after in itertools.pairwise(steps)), strict=True)) | {"events": first.new}


def test_five_thousand_events_move_there_and_back_without_a_difference(postgresql, tmp_path) -> None:
    there_and_back(postgresql.database(), tmp_path, 2500)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_events_move_there_and_back_without_a_difference(postgresql, tmp_path, capsys) -> None:
    found = there_and_back(postgresql.database(), tmp_path, 505_050)
    with capsys.disabled():
        print({name: round(value, 1) for name, value in found.items()})
    assert found["events"] >= 1_000_000


def test_a_move_that_was_interrupted_goes_on_where_it_was(postgresql, tmp_path, monkeypatch) -> None:
    here, there = opened(str(tmp_path / "here.db")), opened(postgresql.database())
    filled(here, 500)
    monkeypatch.setattr("gatepost.journal.move.BATCH", 50)

    class StoppedError(Exception):
        pass

    def tell(done: int, end: int) -> None:
        if done > end / 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        move(here, there, tell)
    before = there.head().sequence
    here.append([judged(9999)], sync=True)
    moved = move(here, there, lambda done, end: None)
    assert 0 < before < moved.sequence == before + moved.new
    assert move(here, there, lambda done, end: None).new == 0
    here.close()
    there.close()


def test_a_journal_that_forgot_its_beginning_moves_all_the_same(store, tmp_path) -> None:
    here, there = opened(str(tmp_path / "here.db")), store.open()
    here.append([judged(number) for number in range(10)], sync=True)
    here.prune(judged(4).at)
    moved = move(here, there, lambda done, end: None)
    assert (moved.new, moved.sequence, moved.compared) == (6, 10, False)
    assert len(there.search(Query())) == 6
    here.close()
    there.close()


def test_two_journals_that_do_not_belong_together_are_left_alone(store, tmp_path) -> None:
    here, there = opened(str(tmp_path / "here.db")), store.open()
    here.append([judged(number) for number in range(5)], sync=True)
    there.append([judged(7)], sync=True)
    with pytest.raises(JournalError, match="do not belong together"):
        move(here, there, lambda done, end: None)
    there.append([judged(number) for number in range(10, 20)], sync=True)
    with pytest.raises(JournalError, match="not the way"):
        move(here, there, lambda done, end: None)
    assert there.verify().events == 11
    here.close()
    there.close()
