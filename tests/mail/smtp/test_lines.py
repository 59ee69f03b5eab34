"""Dots, line ends, and the one end of data."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.smtp.lines import BARE, NUL, LineCheck, LineEndError, Unstuffer, exact, fault, stuffed

CONTENT = st.lists(st.sampled_from([b"a", b".", b"..", b"\r\n", b"\r\n.", b"\r\n\r\n", b"xyz"]), max_size=30).map(b"".join)
ANYTHING = st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\r\n.", b"\0"]), max_size=30).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=20)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def unstuff(chunks: list[bytes]) -> tuple[bytes, bytes | None, str]:
    unstuffer = Unstuffer()
    content = b""
    for index, chunk in enumerate(chunks):
        content += unstuffer.feed(chunk)
        if unstuffer.rest is not None:
            return content, unstuffer.rest + b"".join(chunks[index + 1 :]), unstuffer.fault
    return content, None, unstuffer.fault


@given(CONTENT, CUTS, CUTS)
def test_what_is_stuffed_comes_out_the_same_however_it_is_cut(content: bytes, out: list[int], back: list[int]) -> None:
    """Stuffing and unstuffing are each other's inverse, and what follows the mail is left alone."""
    wire = b"".join(stuffed(pieces(content, out))) + b"QUIT\r\n"
    expected = content if content.endswith(b"\r\n") or not content else content + b"\r\n"

    assert unstuff(pieces(wire, back)) == (expected, b"QUIT\r\n", "")


@given(ANYTHING, CUTS)
def test_cutting_never_changes_what_a_reader_sees(data: bytes, cuts: list[int]) -> None:
    whole = unstuff([data])
    cut = unstuff(pieces(data, cuts))

    assert (cut[1], cut[2]) == (whole[1], whole[2])
    assert cut[0] == whole[0] or whole[2]


@given(ANYTHING, CUTS)
def test_nothing_with_a_bare_line_end_is_ever_sent(data: bytes, cuts: list[int]) -> None:
    """A fault is raised before the chunk that holds it goes out."""
    sent = b""
    try:
        for piece in stuffed(pieces(data, cuts)):
            sent += piece
    except LineEndError:
        assert fault(data)
    else:
        assert not fault(data)
        assert sent.count(b"\r\n.\r\n") <= 1
    assert not fault(sent)


@given(ANYTHING, CUTS)
def test_a_mail_that_leaves_as_a_chunk_is_unchanged_or_does_not_leave(data: bytes, cuts: list[int]) -> None:
    sent = b""
    try:
        for piece in exact(pieces(data, cuts)):
            sent += piece
    except LineEndError:
        assert fault(data)
    else:
        assert sent == data
        assert not fault(data)


@given(ANYTHING, CUTS)
def test_chunks_of_bdat_are_judged_as_the_whole_is(data: bytes, cuts: list[int]) -> None:
    check = LineCheck()
    for piece in pieces(data, cuts):
        check.feed(piece)
    check.end()

    assert bool(check.fault) == bool(fault(data))


@pytest.mark.parametrize(
    ("data", "name"), [(b"a\nb", BARE), (b"a\rb", BARE), (b"\r\r\n", BARE), (b"\n\r", BARE), (b"a\0b", NUL), (b"a\r\nb", "")]
)
def test_each_fault_has_its_name(data: bytes, name: str) -> None:
    assert fault(data) == name
