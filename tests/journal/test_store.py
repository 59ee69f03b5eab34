"""The SQLite journal: all or nothing, in order, tamper-evident, and never empty by accident."""

from __future__ import annotations

import os
import signal
import sqlite3

import pytest
from tests.support.journal import judged

from gatepost.journal import schema
from gatepost.journal.interface import JournalError, Query
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
