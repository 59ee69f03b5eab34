"""The safe preview: never fails, never shows a character that hides, and says what a reader would read."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.console.page_text import page_text
from gatepost.console.preview import preview, visible


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_and_everything_shown_is_printable(raw: bytes) -> None:
    for mail in (raw, b"Content-Type: text/html\r\n\r\n" + raw, b"Subject: " + raw):
        seen = preview(mail)
        texts = (
            [value for _name, value in seen.fields]
            + [part.text for part in seen.parts]
            + [name for part in seen.parts for name in part.names]
        )
        assert all(character.isprintable() or character in "\n\t" for text in texts for character in text)


def test_a_part_is_told_with_name_size_and_digest() -> None:
    raw = b'Content-Type: application/x-test; name="a.exe"\r\n\r\nMZ\r\n'
    (part,) = preview(raw).parts

    assert part.names == ("a.exe",)
    assert (part.declared, part.size, part.digest) == ("application/x-test", 4, hashlib.sha256(b"MZ\r\n").hexdigest())


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ("<p>one</p><p>two", "one\ntwo"),
        ("a<script>evil()</script>b", "ab"),
        ("a<style>p{}</style>b<!-- hidden -->c", "abc"),
        ("<a href='http://x.example'>bank</a>", "bank ⟨http://x.example⟩"),
        ("1 < 2 &amp; 3 &gt; 2", "1 < 2 & 3 > 2"),
        ("&lt;script&gt;", "<script>"),
        ("a<!--", "a"),
        ("a<script>b", "a"),
        ("<a title='>' href=x>y</a>", "' href=x>y"),
        ("<", "<"),
    ],
)
def test_a_pages_words_are_shown_and_its_markup_is_not(markup: str, words: str) -> None:
    assert page_text(markup) == words


@pytest.mark.parametrize("text", ["a\u202eb", "a\u200bb", "a\x1b[2Jb", "a\x00b", "\ufeffa"])
def test_what_hides_is_shown_by_its_code(text: str) -> None:
    assert "U+" in visible(text)
    assert visible(text).isprintable()


def test_a_mebibyte_of_brackets_takes_no_time() -> None:
    assert len(page_text("<" * 200_000)) == 200_000
    assert page_text("<!--" * 50_000) == ""
    assert page_text("<script>" * 25_000) == ""
