"""Many callers, one writer: each hears of its own events, and one bad event takes no other with it."""

from __future__ import annotations

import threading

import pytest
from tests.support.journal import judged

from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.store import SqliteJournal
from gatepost.journal.writer import Writer

BAD = Event(1.0, "mail.deleted", "NOBODY", {"recipient": "a@b"})


@pytest.fixture
def journal(tmp_path):
    opened = SqliteJournal(tmp_path / "journal.db")
    yield opened
    opened.close()


def test_callers_in_many_threads_all_get_their_events_written(journal) -> None:
    writer = Writer(journal)

    def write(start: int) -> None:
        for number in range(start, start + 50):
            writer.submit([judged(number)], sync=number % 10 == 0).result(10)

    threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert journal.count(Query()) == {"delivered": 200}
    assert journal.verify().events == 200


def test_one_event_that_cannot_be_fails_alone(journal) -> None:
    writer = Writer(journal)
    futures = [writer.submit([BAD] if number == 5 else [judged(number)], sync=False) for number in range(10)]
    for number, future in enumerate(futures):
        if number == 5:
            with pytest.raises(JournalError, match="NOBODY"):
                future.result(10)
        else:
            future.result(10)
    writer.close()
    assert journal.count(Query()) == {"delivered": 9}


def test_waiting_events_share_a_commit_and_are_written_before_closing(journal, monkeypatch) -> None:
    """The first commit is held back; all that comes meanwhile goes into the second, synced because one asked for it."""
    commits: list[tuple[int, bool]] = []
    gate = threading.Event()
    append = journal.append

    def slow(events, *, sync) -> None:
        gate.wait(10)
        commits.append((len(events), sync))
        append(events, sync=sync)

    monkeypatch.setattr(journal, "append", slow)
    writer = Writer(journal)
    futures = [writer.submit([judged(0)], sync=False)]
    while not writer._queue.empty():
        pass
    futures += [writer.submit([judged(number)], sync=number == 3) for number in range(1, 20)]
    gate.set()
    writer.close()
    assert commits == [(1, False), (19, True)]
    assert all(future.done() for future in futures)
