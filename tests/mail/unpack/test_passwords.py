"""Passwords that a letter names are among the candidates, and near the front."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.unpack.passwords import MOST, candidates

LETTERS = [
    ("The password is s3cret!x", "s3cret!x"),
    ('Password: "s3cret"', "s3cret"),
    ("pass:infected", "infected"),
    ("Das Passwort lautet \u201egeheim7\u201c.", "geheim7"),
    ("Kennwort f\u00fcr die Datei: Ab#12", "Ab#12"),
    ("PW - infected.", "infected"),
    ("Your PIN is 4711.", "4711"),
    ("Use the code  i n f e c t e d  without spaces.", "infected"),
    ("\ube44\ubc00\ubc88\ud638\ub294 abc123 \uc785\ub2c8\ub2e4", "abc123"),
    ("\u5bc6\u7801\uff1axyz99", "xyz99"),
    ("<p>Password: <b>inf</b><span>ected</span></p>", "infected"),
    ("<p>password</p><p>s3cret</p>", "s3cret"),
    ("s3cret is the password", "s3cret"),
]


@pytest.mark.parametrize(("letter", "password"), LETTERS)
def test_a_password_named_in_a_letter_is_among_the_first(letter: str, password: str) -> None:
    assert password in candidates([letter])[:5]


def test_subject_and_file_name_count_too() -> None:
    assert "zork77" in candidates(["The subject holds the password."], "zork77")[:6]
    assert "zork77" in candidates([], "", ["report_pw_zork77.zip"])


@given(st.lists(st.text()), st.text(), st.lists(st.text()))
def test_there_are_never_too_many_nor_empty_nor_repeated(texts: list[str], subject: str, names: list[str]) -> None:
    found = candidates(texts, subject, names)
    assert len(found) == len(set(found)) <= MOST
    assert all(found)
