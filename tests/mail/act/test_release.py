"""A release token passes exactly what was shown, for one recipient, for the very bytes, for a time."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.act.receipt import signing_key
from gatepost.mail.act.release import released, token_field
from gatepost.mail.decide.policy import Pass
from gatepost.mail.model import Kind

KEY = signing_key(bytes(range(32)))
PUBLIC = KEY.public_key()
MAIL = b"From: a@b\r\nSubject: x\r\n\r\nbody\r\n"
PASSES = frozenset({Pass("default.banned.inbound", Kind.BANNED, "a.exe")})
TRACE = b"Received: from localhost\r\n\tby relay; now\r\nReturn-Path: <a@b>\r\n"


def field(mail: bytes = MAIL, passes=PASSES, until: float = 2000) -> bytes:
    return token_field("0ABC", hashlib.sha256(mail).hexdigest(), "Joe@widget.example", passes, until, KEY)


def test_a_token_holds_right_before_the_bytes_it_is_for() -> None:
    token = released(field() + MAIL, PUBLIC, 1000)
    assert token is not None
    assert token.id == "0ABC"
    assert token.allows("joe@WIDGET.example") == PASSES
    assert token.allows("eve@widget.example") == frozenset()


def test_a_relay_may_put_its_trace_before_it() -> None:
    assert released(TRACE + field() + MAIL, PUBLIC, 1000) is not None


@pytest.mark.parametrize(
    "mail",
    [
        MAIL,
        b"",
        MAIL + field(),
        b"Content-Type: text/html\r\n" + field() + MAIL,
        field() + b"X: y\r\n" + MAIL,
        field() + MAIL + b"more",
        field(b"another mail") + MAIL,
        field().replace(b"Release: A", b"Release: B").replace(b"Release: 0", b"Release: 1") + MAIL[:-1],
        b"Received: x\r\nnot a field\r\n" + field() + MAIL,
        b"X-Gatepost-Release: \r\n" + MAIL,
        b"X-Gatepost-Release: AAAA\r\n" + MAIL,
        b"\r\n" + field() + MAIL,
    ],
)
def test_anything_else_is_no_token(mail) -> None:
    assert released(mail, PUBLIC, 1000) is None


def test_a_token_ends_in_time_and_belongs_to_this_site() -> None:
    assert released(field() + MAIL, PUBLIC, 2001) is None
    assert released(field() + MAIL, signing_key(bytes(32)).public_key(), 1000) is None


def test_a_long_token_is_folded_into_lines_that_every_mta_takes() -> None:
    passes = frozenset(Pass("default.banned.inbound", Kind.BANNED, f"file-{number}.exe") for number in range(300))
    text = field(passes=passes)
    assert max(len(line) for line in text.split(b"\r\n")) < 100
    token = released(text + MAIL, PUBLIC, 1000)
    assert token is not None
    assert token.allows("joe@widget.example") == passes


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_make_it_fail_and_any_cut_is_no_token(junk, cut) -> None:
    assert released(junk, PUBLIC, 1000) is None
    whole = field() + MAIL
    assert (released(whole[:cut], PUBLIC, 1000) is None) == (cut < len(whole))
