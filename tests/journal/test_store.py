"""The SQLite journal: all or nothing, in order, tamper-evident, and never empty by accident."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from tests.support.journal import finding, judged, recipient

from gatepost.journal import schema
from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Query
from gatepost.journal.states import State
from gatepost.journal.store import SqliteJournal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path):
    opened = SqliteJournal(path)
    yield opened
    opened.close()


def tampered(path, sql: str, *values) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(sql, values)
    connection.close()


def test_events_come_back_in_order_and_by_subject_and_kind(journal) -> None:
    events = [judged(1), Event(1.0, "site.loaded", "site", {"a": [1, None]}), judged(2)]
    journal.append(events, sync=True)
    assert [event for _, event in journal.events()] == events
    assert journal.events(kind="site.loaded") == [(2, events[1])]
    assert journal.events(subject=events[2].subject) == [(3, events[2])]
    assert journal.events(after=2) == [(3, events[2])]
    assert [number for number, _ in journal.events(limit=1)] == [1]


def test_a_journal_opened_again_goes_on_where_it_was(path) -> None:
    first = SqliteJournal(path)
    first.append([judged(1)], sync=False)
    first.close()
    second = SqliteJournal(path)
    second.append([judged(2)], sync=False)
    assert second.verify().events == 2
    second.close()


def test_one_event_that_cannot_be_takes_its_whole_transaction_back(journal) -> None:
    with pytest.raises(JournalError) as caught:
        journal.append([judged(1), Event(1.0, "mail.released", "NOBODY", {"recipient": "a@b"})], sync=False)
    assert caught.value.reason == "refused"
    assert journal.events() == []
    assert journal.search(Query()) == []
    journal.append([judged(1)], sync=False)
    assert journal.verify().events == 1


@pytest.mark.parametrize(
    "event",
    [
        Event(1.0, "mail.judged", "ID", {}),
        judged(1, sender=None),
        judged(1, sender="lone \ud800 surrogate"),
        judged(1, recipients=[recipient(state="lost")]),
        judged(1, recipients=[{}]),
        judged(1, size=object()),
        Event(1.0, "mail.deleted", "ID", {"recipient": 7}),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_the_journal_goes_on(journal, event) -> None:
    """No other error comes out, or the writer's thread would stop and every mail with it."""
    with pytest.raises(JournalError) as caught:
        journal.append([event], sync=False)
    assert caught.value.reason == "refused"
    journal.append([judged(1)], sync=False)
    assert journal.verify().events == 1


def test_a_question_that_is_no_text_is_refused(journal) -> None:
    with pytest.raises(JournalError) as caught:
        journal.search(Query(sender="\ud800"))
    assert caught.value.reason == "refused"


def test_a_mail_is_judged_once(journal) -> None:
    journal.append([judged(1)], sync=False)
    with pytest.raises(JournalError, match="judged already"):
        journal.append([judged(1)], sync=False)


def test_each_recipient_moves_on_alone(journal) -> None:
    event = judged(1, recipients=[recipient(state="quarantined"), recipient("ann@widget.example", "quarantined")], kept=True)
    journal.append([event], sync=True)
    journal.append([Event(2.0, "mail.released", event.subject, {"recipient": "Joe@widget.example"})], sync=True)
    assert {row.recipient: row.state for row in journal.search(Query(id=event.subject))} == {
        "joe@widget.example": State.RELEASED,
        "ann@widget.example": State.QUARANTINED,
    }
    with pytest.raises(JournalError, match="cannot become deleted when it is released"):
        journal.append([Event(3.0, "mail.deleted", event.subject, {"recipient": "joe@widget.example"})], sync=True)
    assert journal.count(Query()) == {"released": 1, "quarantined": 1}


def ids(journal, **query) -> list[int]:
    return [int(row.subject.rpartition(" ")[2]) for row in journal.search(Query(**query))]


def test_every_field_can_be_searched_newest_first(journal) -> None:
    journal.append(
        [
            judged(1),
            judged(2, sender="boss@widget.example", recipients=[recipient("ann@partner.example", direction="outbound")]),
            judged(3, "quarantined", findings=[finding()], client="198.51.100.7"),
            judged(4, sender="", recipients=[recipient(), recipient("ann@widget.example", "rejected")]),
        ],
        sync=False,
    )
    assert ids(journal) == [4, 4, 3, 2, 1]
    assert ids(journal, limit=2) == [4, 4]
    assert ids(journal, before=3) == [2, 1]
    assert ids(journal, sender="ANN@partner.example") == [3, 1]
    assert ids(journal, sender="@widget.example") == [2]
    assert ids(journal, recipient="Joe@widget.example") == [4, 3, 1]
    assert ids(journal, recipient="@widget.example") == [4, 4, 3, 1]
    assert ids(journal, recipient="@widget.example", sender="@partner.example") == [3, 1]
    assert ids(journal, subject="NUMBER 2") == [2]
    assert ids(journal, client="198.51.100.7") == [3]
    assert ids(journal, message_id="<2@partner.example>") == [2]
    assert ids(journal, direction="outbound") == [2]
    assert ids(journal, verdict="virus") == ids(journal, finding="Eicar-Test") == ids(journal, engine="clamav") == [3]
    assert ids(journal, states=(State.REJECTED, State.QUARANTINED)) == [4, 3]
    assert ids(journal, kept=True) == [3]
    assert ids(journal, since=1_700_000_002, until=1_700_000_004) == [3, 2]
    assert ids(journal, id=judged(2).subject.lower()) == [2]
    assert ids(journal, digest=f"{3:064x}") == [3]
    assert ids(journal, subject="%") == ids(journal, subject='er "2') == ids(journal, subject="number\0") == []
    assert (
        ids(journal, subject="r 3", states=(State.QUARANTINED,)) == ids(journal, subject="er number 3", recipient="@widget.example") == [3]
    )
    assert ids(journal, subject="2") == [2]
    assert journal.count(Query(subject="offer")) == {"delivered": 3, "quarantined": 1, "rejected": 1}
    assert ids(journal, sender="' OR 1 --") == []


def test_a_row_says_the_reason(journal) -> None:
    journal.append([judged(3, "quarantined", findings=[finding(), finding("spam", "bulk")])], sync=False)
    (row,) = journal.search(Query())
    assert (row.verdict, row.reason, row.rule, row.kept, row.direction) == ("virus", "Eicar-Test", "clean", True, "inbound")


@pytest.mark.parametrize(
    ("sql", "sequence"),
    [
        ("UPDATE events SET body = CAST(replace(body, 'Offer', 'Order') AS BLOB) WHERE sequence = 2", 2),
        ("UPDATE events SET body = 'a text' WHERE sequence = 2", 2),
        ("DELETE FROM events WHERE sequence = 2", 2),
        ("UPDATE events SET hash = zeroblob(32) WHERE sequence = 3", 3),
        ("UPDATE events SET kind = 'mail.other' WHERE sequence = 1", 1),
        ("UPDATE events SET subject = 'X' WHERE sequence = 3", 3),
    ],
)
def test_tampering_is_found_with_the_number_of_the_event(path, journal, sql, sequence) -> None:
    journal.append([judged(number) for number in range(3)], sync=True)
    assert journal.verify().sequence == 3
    tampered(path, sql)
    with pytest.raises(JournalError, match=f"event {sequence} of the journal") as caught:
        journal.verify()
    assert caught.value.reason == "corrupt"


def test_an_event_that_cannot_be_read_is_named_corrupt(path, journal) -> None:
    journal.append([judged(1)], sync=True)
    tampered(path, "UPDATE events SET body = '{'")
    with pytest.raises(JournalError) as caught:
        journal.events()
    assert caught.value.reason == "corrupt"


def closed(path, count: int = 3) -> None:
    journal = SqliteJournal(path)
    journal.append([judged(number) for number in range(count)], sync=True)
    journal.close()


def test_a_journal_taken_away_while_it_is_open_takes_nothing_until_it_is_back(journal, path, tmp_path) -> None:
    journal.append([judged(1)], sync=True)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="put it back") as caught:
        journal.append([judged(2)], sync=True)
    assert caught.value.reason == "gone"

    (tmp_path / "elsewhere").rename(path)
    journal.append([judged(3)], sync=True)
    assert {row.at for row in journal.search(Query())} == {judged(1).at, judged(3).at}


def test_a_journal_that_is_gone_is_an_error_and_not_an_empty_journal(path) -> None:
    closed(path)
    path.unlink()
    with pytest.raises(JournalError, match=r"is gone; it had 3 events") as caught:
        SqliteJournal(path)
    assert caught.value.reason == "gone"
    assert not path.exists()


def test_an_emptied_journal_and_an_old_copy_are_errors(path) -> None:
    closed(path)
    old = path.read_bytes()
    journal = SqliteJournal(path)
    journal.append([judged(7)], sync=True)
    journal.close()
    path.write_bytes(old)
    with pytest.raises(JournalError, match="event 4 is missing"):
        SqliteJournal(path)
    path.write_bytes(b"")
    with pytest.raises(JournalError, match="is gone"):
        SqliteJournal(path)


def test_another_journal_in_its_place_is_an_error(path, tmp_path) -> None:
    closed(path)
    other = SqliteJournal(tmp_path / "other.db")
    other.append([judged(number) for number in range(10, 15)], sync=True)
    other.close()
    path.write_bytes((tmp_path / "other.db").read_bytes())
    with pytest.raises(JournalError, match="event 3 is another one"):
        SqliteJournal(path)


def test_a_damaged_journal_is_named_corrupt(path) -> None:
    closed(path, 200)
    data = bytearray(path.read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(JournalError) as caught:
        SqliteJournal(path).verify()
    assert caught.value.reason in {"corrupt", "gone"}
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 30)
    with pytest.raises(JournalError, match="restore the newest backup") as caught:
        SqliteJournal(path)
    assert caught.value.reason == "corrupt"


def test_a_locked_journal_says_so_and_works_again_afterwards(path, journal, monkeypatch) -> None:
    journal._writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalError, match="another process holds it") as caught:
        journal.append([judged(1)], sync=True)
    assert caught.value.reason == "locked"
    other.execute("ROLLBACK")
    other.close()
    journal.append([judged(1)], sync=True)
    assert journal.verify().events == 1


def test_a_full_disk_fails_the_event_and_is_survived(journal) -> None:
    journal.append([judged(1)], sync=True)
    (pages,) = journal._writer.execute("PRAGMA page_count").fetchone()
    journal._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="full") as caught:
        journal.append([judged(number) for number in range(2, 500)], sync=True)
    assert caught.value.reason == "failed"
    journal._writer.execute("PRAGMA max_page_count = 1000000")
    journal.append([judged(number) for number in range(2, 500)], sync=True)
    assert journal.verify().events == 499


def test_a_journal_of_a_newer_gatepost_is_left_alone(path) -> None:
    closed(path)
    tampered(path, "PRAGMA user_version = 999")
    with pytest.raises(JournalError, match="newer Gatepost"):
        SqliteJournal(path)


def test_a_migration_that_is_stopped_anywhere_leaves_the_old_tables(tmp_path, monkeypatch) -> None:
    """Old or new, never half: fail the n-th statement of a migration, for every n."""
    statements = schema.MIGRATIONS[0]
    for number in range(len(statements)):
        connection = sqlite3.connect(tmp_path / f"{number}.db", isolation_level=None)
        monkeypatch.setattr(schema, "MIGRATIONS", ((*statements[:number], "not SQL"),))
        with pytest.raises(sqlite3.Error):
            schema.migrate(connection)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        monkeypatch.setattr(schema, "MIGRATIONS", (statements,))
        schema.migrate(connection)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        connection.close()


def test_readers_see_whole_transactions_while_a_writer_writes(journal) -> None:
    """Every transaction has two mails: no reader may ever see an odd number."""
    wrong: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            count = sum(journal.count(Query()).values())
            if count % 2:
                wrong.append(count)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for number in range(0, 200, 2):
        journal.append([judged(number), judged(number + 1)], sync=False)
    stop.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert journal.count(Query()) == {"delivered": 200}


def test_two_journals_on_one_file_keep_one_chain(path, journal) -> None:
    """A second process that appends does not fork the chain."""
    other = SqliteJournal(path)
    for number in range(10):
        (journal if number % 2 else other).append([judged(number)], sync=False)
    assert journal.verify().events == 10
    other.close()


WRITER = """
import sys
from pathlib import Path
from gatepost.journal.store import SqliteJournal
from tests.support.journal import judged
journal = SqliteJournal(Path(sys.argv[1]))
for number in range(100000):
    journal.append([judged(number)], sync=False)
    print(number, flush=True)
"""


def test_what_was_written_is_there_after_the_process_is_killed(path) -> None:
    """kill -9 in the middle of writing loses nothing that append had returned for."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout
        seen = [int(child.stdout.readline()) for _ in range(50)]
        child.send_signal(signal.SIGKILL)
        seen += [int(line) for line in child.stdout.read().split()]
    journal = SqliteJournal(path)
    assert journal.verify().events >= len(seen)
    journal.close()


def test_old_events_are_forgotten_and_the_chain_goes_on(path, journal) -> None:
    journal.append([judged(number) for number in range(10)], sync=True)
    assert journal.prune(judged(6).at) == 6
    assert journal.verify().events == 4
    assert ids(journal) == ids(journal, subject="offer") == [9, 8, 7, 6]
    journal.append([judged(11)], sync=True)
    again = SqliteJournal(path)
    assert again.verify().sequence == 11
    assert again.prune(0) == 0
    assert again.prune(judged(99).at) == 4
    again.append([judged(12)], sync=True)
    assert again.verify().sequence == 12
    again.close()


def test_mail_that_is_still_held_is_never_forgotten(journal) -> None:
    journal.append([judged(0), judged(1, "quarantined"), judged(2)], sync=True)
    assert journal.prune(judged(99).at) == 1
    assert ids(journal) == [2, 1]


def test_facts_for_the_tally_are_those_of_the_time_asked_for(journal) -> None:
    journal.append([judged(number) for number in range(5)], sync=False)
    found = list(journal.facts(judged(1).at, judged(4).at))
    assert [at for at, _ in found] == [judged(number).at for number in (1, 2, 3)]
    assert found[0][1]["subject"] == "Offer number 1"


def test_an_event_may_carry_any_text(journal) -> None:
    event = replace(judged(1), data=judged(1).data | {"subject": "\u2400 ' \" \\ ü \U0001f600 <b>"})
    journal.append([event], sync=False)
    assert journal.search(Query())[0].subject == event.data["subject"]


def test_rows_are_counted_by_verdict_and_no_further_than_asked(journal) -> None:
    journal.append([judged(number) for number in range(5)], sync=False)
    journal.append([judged(9, "rejected", findings=[finding()])], sync=False)

    assert journal.count(Query(), "verdict") == {"clean": 5, "virus": 1}
    assert sum(journal.count(Query(), "verdict", 3).values()) == 3
    assert journal.count(Query(verdict="virus"), "state", 3) == {"rejected": 1}


SECOND = ("ALTER TABLE messages ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'", "CREATE INDEX messages_colour ON messages (colour)")


def migrated_until(path, statement: int, migrations) -> bool:
    """Migrate in a child that is killed before its `statement`-th statement; whether it came to its end before."""
    child = os.fork()
    if not child:
        count = 0

        def trace(_sql: str) -> None:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        connection = sqlite3.connect(path, isolation_level=None)
        schema.MIGRATIONS = migrations
        connection.set_trace_callback(trace)
        schema.migrate(connection)
        os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_migration_killed_at_any_statement_is_finished_by_the_next_start_and_loses_nothing(tmp_path, monkeypatch) -> None:
    migrations = (*schema.MIGRATIONS, SECOND)
    with_events = tmp_path / "old.db"
    old = SqliteJournal(with_events)
    old.append([judged(number) for number in range(5)], sync=True)
    old.close()
    for before, events in ((None, 0), (with_events, 5)):
        for statement in range(1, 100):
            path = tmp_path / f"{events}-{statement}.db"
            if before:
                path.write_bytes(before.read_bytes())
            ended = migrated_until(path, statement, migrations)
            with monkeypatch.context() as patched:
                patched.setattr(schema, "MIGRATIONS", migrations)
                journal = SqliteJournal(path)
                assert journal.verify().events == events
                assert len(journal.search(Query())) == events
                assert journal._writer.execute("SELECT count(*) FROM messages WHERE colour = 'grey'").fetchone() == (events,)
                journal.close()
            if ended:
                break
        assert ended
