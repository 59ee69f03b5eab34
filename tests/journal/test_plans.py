"""A search by any field goes by an index: no plan reads a whole table and sorts it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.support.journal import finding, judged

from gatepost.journal.interface import Query
from gatepost.journal.search import count_sql, newest_sql, search_sql
from gatepost.journal.states import State
from gatepost.journal.store import SqliteJournal

QUERIES = {
    "id": Query(id="1M84DN9EX8X383"),
    "sender": Query(sender="ann@partner.example"),
    "sender's domain": Query(sender="@partner.example"),
    "recipient": Query(recipient="joe@widget.example"),
    "recipient's domain": Query(recipient="@widget.example"),
    "subject": Query(subject="offer"),
    "client": Query(client="203.0.113.5"),
    "message id": Query(message_id="<1@partner.example>"),
    "direction": Query(direction="inbound"),
    "verdict": Query(verdict="virus"),
    "finding": Query(finding="Eicar-Test"),
    "engine": Query(engine="clamav"),
    "digest": Query(digest="0" * 64),
    "state": Query(states=(State.QUARANTINED,)),
    "kept": Query(kept=True),
    "domain and verdict": Query(recipient="@widget.example", verdict="virus"),
    "direction and verdict": Query(direction="outbound", verdict="virus"),
}


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.append([judged(number, findings=[finding()] if number % 9 == 0 else []) for number in range(50)], sync=False)
    journal.close()
    return sqlite3.connect(tmp_path / "journal.sqlite")


def plan(connection: sqlite3.Connection, sql: str, values: list[object]) -> list[str]:
    return [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("name", QUERIES)
def test_a_page_of_a_search_is_found_by_an_index_in_its_order(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, *search_sql(QUERIES[name]))

    # Recipients of one mail are sorted; two states are merged.
    assert [step for step in steps if step.startswith("SCAN") and "INDEX" not in step and "VIRTUAL TABLE" not in step] in (
        [],
        ["SCAN messages"],
    ), steps
    if name not in {"finding", "engine", "kept"}:
        assert "SCAN messages" not in steps, steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps, steps


@pytest.mark.parametrize("name", QUERIES)
def test_counting_stops_at_its_bound_and_goes_by_an_index(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, *count_sql(QUERIES[name], "state", 2000))

    assert not [step for step in steps if step == "SCAN recipients"], steps


def test_the_newest_of_a_kind_are_found_by_an_index(connection: sqlite3.Connection) -> None:
    assert "USING INDEX events_kind" in plan(connection, *newest_sql("mail.judged", 10))[0]
