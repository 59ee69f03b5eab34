"""Replies of HTTP, ICAP and spamd: exact or refused, whole or byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.engines.reply import HEAD_LIMIT, dechunk, parse, split_head
from gatepost.mail.inspect.engine import EngineError


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8))
def test_chunks_join_to_what_was_cut(pieces: list[bytes]):
    """A body in chunks comes back whole, and every cut of it is "not yet"."""
    wire = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    assert dechunk(wire) == b"".join(pieces)
    assert all(dechunk(wire[:cut]) is None for cut in range(len(wire)))


@pytest.mark.parametrize("wire", [b"zz\r\n", b"-1\r\n\r\n", b"3\r\nabcdef\r\n", b"fffffffff\r\n", b"\r\n"])
def test_broken_chunks_are_refused(wire: bytes):
    """A size that is none, or a chunk longer than it says, is an error."""
    with pytest.raises(EngineError):
        dechunk(wire)


def test_a_head_is_taken_when_it_is_whole():
    """Until the empty line has come there is no head; names of fields are in lower case."""
    wire = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-A:b\r\n\r\nok"
    end = wire.index(b"ok")
    head, body = split_head(wire, "HTTP") or pytest.fail("no head")

    assert all(split_head(wire[:cut], "HTTP") is None for cut in range(end))
    assert (head.code, head.reason, dict(head.fields), body) == (200, "Fine", {"content-length": "2", "x-a": "b"}, b"ok")
    assert parse(wire, "HTTP").body == b"ok"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICAP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * HEAD_LIMIT + b"\r\n\r\n",
    ],
)
def test_anything_that_is_not_exact_is_refused(wire: bytes):
    """Missing, doubled or wrong lengths, other protocols and other line ends are errors."""
    with pytest.raises(EngineError):
        parse(wire, "HTTP")
