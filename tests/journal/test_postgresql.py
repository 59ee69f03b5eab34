"""What is PostgreSQL's own: migrations, partitions, several nodes, rights, a server that goes away."""

from __future__ import annotations

import os
import signal

import pytest
from tests.support.journal import judged
from tests.support.stores import opened

from gatepost.journal.event import Event
from gatepost.journal.interface import JournalError, Query

psycopg = pytest.importorskip("psycopg", reason="needs psycopg: pip install gatepost[postgresql]")

from gatepost.journal import postgresql_schema  # noqa: E402
from gatepost.journal.postgresql import PostgresqlJournal, prepare  # noqa: E402


@pytest.fixture
def url(postgresql) -> str:
    return postgresql.database()


def run(url: str, sql: str) -> list:
    with psycopg.connect(url, autocommit=True, options="-c search_path=gatepost,public") as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


SECOND = ("ALTER TABLE messages ADD COLUMN colour text NOT NULL DEFAULT 'grey'", "CREATE INDEX messages_colour ON messages (colour)")


def migrated_until(url: str, statement: int, migrations) -> bool:
    """Migrate in a child that is killed before its `statement`-th statement; whether it came to its end before."""
    child = os.fork()
    if not child:
        count = 0
        execute = psycopg.Connection.execute

        def counted(self, query, *rest, **more):
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(self, query, *rest, **more)

        psycopg.Connection.execute = counted
        postgresql_schema.MIGRATIONS = migrations
        with psycopg.connect(url, autocommit=True, options="-c search_path=gatepost,public") as connection:
            postgresql_schema.migrate(connection, 1 << 40)
        os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_migration_killed_at_any_statement_is_finished_by_the_next_start_and_loses_nothing(url, monkeypatch) -> None:
    first, migrations = postgresql_schema.MIGRATIONS, (*postgresql_schema.MIGRATIONS, SECOND)
    for statement in range(1, 50, 3):
        if migrated_until(url, statement, first):
            break
    journal = opened(url)
    journal.append([judged(number) for number in range(5)], sync=True)
    journal.close()
    assert next(statement for statement in range(1, 50) if migrated_until(url, statement, migrations)) > 5
    assert run(url, "SELECT count(*) FROM messages WHERE colour = 'grey'") == [(5,)]
    monkeypatch.setattr(postgresql_schema, "MIGRATIONS", migrations)
    journal = opened(url)
    assert journal.verify().events == len(journal.search(Query())) == 5
    journal.close()


def test_a_journal_of_a_newer_gatepost_is_left_alone(url) -> None:
    opened(url).close()
    run(url, "UPDATE migrated SET version = 999")
    with pytest.raises(JournalError, match="newer Gatepost") as caught:
        opened(url)
    assert caught.value.reason == "newer"


def test_retention_drops_whole_partitions_and_deletes_no_row(url) -> None:
    journal = opened(url, span=10)
    journal.append([judged(number) for number in range(35)], sync=True)
    tables = "SELECT count(*) FROM pg_class WHERE relname ~ '^(events|messages|recipients|findings)_[0-9]+$'"
    assert run(url, tables) == [(16,)]
    assert journal.prune(judged(25).at) == 20
    assert run(url, tables) == [(8,)]
    assert run(url, "SELECT coalesce(sum(n_tup_del), 0)::int FROM pg_stat_user_tables WHERE relname LIKE 'events%'") == [(0,)]
    assert journal.verify().events == 15
    journal.append([judged(36)], sync=True)
    assert journal.verify().sequence == 36
    journal.close()


def test_nodes_have_a_chain_each_and_one_search_over_all(url) -> None:
    nodes = [opened(url, node=name) for name in ("mx1", "mx2", "mx3")]
    for number in range(9):
        nodes[number % 3].append([judged(number)], sync=False)
    assert [node.verify().sequence for node in nodes] == [3, 3, 3]
    assert len({node.verify().hash for node in nodes}) == 3
    assert nodes[0].verify().events == 9
    assert [row.at for row in nodes[0].search(Query())] == [judged(number).at for number in range(8, -1, -1)]
    assert nodes[0].nodes() == {"mx1": 3, "mx2": 3, "mx3": 3}
    for node in nodes:
        node.close()


def test_a_mail_judged_on_one_node_is_released_on_another(url) -> None:
    one, other = opened(url, node="mx1"), opened(url, node="mx2")
    held = judged(1, "quarantined")
    one.append([held], sync=True)
    other.append([Event(held.at + 9, "mail.released", held.subject, {"recipient": "joe@widget.example"})], sync=True)
    assert [row.state for row in one.search(Query())] == ["released"]
    with pytest.raises(JournalError, match="cannot become deleted"):
        one.append([Event(held.at + 10, "mail.deleted", held.subject, {"recipient": "joe@widget.example"})], sync=True)
    one.close()
    other.close()


def test_an_event_of_a_wrong_time_does_not_stop_retention_for_ever(url) -> None:
    journal = opened(url)
    journal.append([Event(9e9, "site.loaded", "site", {})], sync=True)
    journal.append([judged(1)], sync=True)
    assert run(url, "SELECT max(number) < (extract(epoch from now()) + 2 * 86400) * 4096000 FROM events") == [(True,)]
    journal.close()


@pytest.fixture
def users(postgresql, url) -> dict[str, str]:
    """A URL for a user with each role."""
    prepare(url)
    name = url.split("/")[3].split("?")[0]
    for user, role in (("scanner", "gatepost_node"), ("looker", "gatepost_reader")):
        run(url, f"DROP ROLE IF EXISTS {user}")
        run(url, f"CREATE ROLE {user} LOGIN IN ROLE {role}")
    return {user: postgresql.url(name, user) for user in ("scanner", "looker")}


def test_the_user_of_a_node_may_do_its_work_and_not_rewrite_the_past(users) -> None:
    journal = opened(users["scanner"])
    held = judged(1, "quarantined")
    journal.append([held], sync=True)
    journal.append([Event(held.at + 9, "mail.deleted", held.subject, {"recipient": "joe@widget.example"})], sync=True)
    journal.append([Event(held.at + 9, "mail.unkept", held.subject, {})], sync=True)
    assert journal.prune(1.0) == 0
    assert journal.verify().events == 3
    for sql in (
        "UPDATE events SET kind = 'x'",
        "DELETE FROM events",
        "TRUNCATE events",
        "DROP TABLE events",
        "UPDATE recipients SET address = 'x'",
        "UPDATE nodes SET start_sequence = 9",
        "DELETE FROM messages",
        "UPDATE migrated SET version = 0",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(users["scanner"], sql)
    journal.close()


def test_a_reader_may_look_and_nothing_else(users) -> None:
    writer = opened(users["scanner"])
    writer.append([judged(1)], sync=True)
    reader = PostgresqlJournal(users["looker"], "console", writes=False)
    assert reader.verify().events == len(reader.search(Query())) == 1
    with pytest.raises(JournalError, match="permission denied") as caught:
        reader.append([judged(2)], sync=True)
    assert caught.value.reason == "failed"
    writer.close()
    reader.close()


def test_a_user_without_rights_is_told_who_has_to_prepare_the_journal(postgresql, url) -> None:
    run(url, "DROP ROLE IF EXISTS stranger")
    run(url, "CREATE ROLE stranger LOGIN")
    run(url, "CREATE SCHEMA gatepost")
    with pytest.raises(JournalError, match="gatepost storage prepare"):
        opened(postgresql.url(url.split("/")[3].split("?")[0], "stranger"))


def test_a_server_that_goes_away_is_named_and_taken_up_again_when_it_is_back(postgresql, url) -> None:
    journal = opened(url)
    journal.append([judged(1)], sync=True)
    assert len(journal.search(Query())) == 1
    postgresql.stop()
    try:
        for ask in (lambda: journal.append([judged(2)], sync=True), lambda: journal.search(Query())):
            with pytest.raises(JournalError, match="is it running") as caught:
                ask()
            assert caught.value.reason == "away"
    finally:
        postgresql.start()
    journal.append([judged(2)], sync=True)
    assert len(journal.search(Query())) == 2
    journal.close()


def test_text_that_postgresql_cannot_hold_is_found_again_all_the_same(url) -> None:
    journal = opened(url)
    event = judged(1, subject="a\0b 100% _x_")
    journal.append([event], sync=True)
    assert [found for _, found in journal.events()] == [event]
    assert len(journal.search(Query(subject="A\0b"))) == len(journal.search(Query(subject="100% _X"))) == 1
    assert journal.search(Query(subject="x_y")) == []
    journal.close()
