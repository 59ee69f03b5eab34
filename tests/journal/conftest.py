"""A PostgreSQL for all tests of a run, and each store in turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from tests.support import postgresql as private
from tests.support.stores import Store

from gatepost.journal.interface import Chained


@pytest.fixture(scope="session")
def postgresql() -> Iterator[private.Postgresql]:
    server = private.begun()
    yield server
    private.ended(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path) -> Store:
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        url = server.database()
        name = url.rpartition("/")[0] and url.split("/")[3].split("?")[0]
        return Store(url, lambda sql: server.run(name, f"SET search_path = gatepost, public; {sql}"))
    path = tmp_path / "state" / "journal.db"

    def run(sql: str) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(sql)
        connection.close()

    return Store(str(path), run)


@pytest.fixture
def journal(store) -> Iterator[Chained]:
    opened = store.open()
    yield opened
    opened.close()
