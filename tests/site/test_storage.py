"""Where the journal is: a URL that is understood, and no password in the site file."""

from __future__ import annotations

import pytest

from gatepost.site.storage import Storage, parse_storage


def test_without_a_word_the_journal_is_in_the_state_folder_and_a_node_has_the_name_of_its_host() -> None:
    assert Storage().url == ""
    assert Storage().name
    assert Storage(node="mx1").name == "mx1"


@pytest.mark.parametrize(
    "url",
    ["postgresql://gatepost@db.widget.example/gatepost?sslmode=verify-full", "postgres:///gatepost", "postgresql://u@/d?host=/run/pg"],
)
def test_urls_of_postgresql_are_taken_as_they_are(url: str) -> None:
    assert parse_storage(url) == url


@pytest.mark.parametrize("url", ["mysql://db/gatepost", "db.widget.example", "sqlite:///x"])
def test_any_other_store_is_a_mistake(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://USER@HOST/DATABASE"):
        parse_storage(url)


@pytest.mark.parametrize("url", ["postgresql://u:secret@db/gatepost", "postgresql://u@db/gatepost?password=secret"])
def test_a_password_in_the_site_file_is_a_mistake(url: str) -> None:
    with pytest.raises(ValueError, match="passfile"):
        parse_storage(url)
