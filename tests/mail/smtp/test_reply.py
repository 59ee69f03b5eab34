"""Replies as bytes."""

from __future__ import annotations

import pytest

from gatepost.mail.model import Reply
from gatepost.mail.smtp.reply import ReplyError, ReplyReader, from_lines, render, render_lines


def test_a_reply_cannot_hold_a_second_line() -> None:
    assert render(Reply(550, "5.7.1", "no\r\n250 yes\0ä")) == b"550 5.7.1 no?250 yes?\r\n"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_replies_are_read_however_they_are_cut(step: int) -> None:
    wire = render_lines(250, ("hop", "SIZE 10", "DSN")) + b"354\r\n451 4.3.0 later\r\n"
    reader = ReplyReader()
    found = []
    for start in range(0, len(wire), step):
        reader.feed(wire[start : start + step])
        while (reply := reader.lines()) is not None:
            found.append(reply)

    assert found == [(250, ("hop", "SIZE 10", "DSN")), (354, ("",)), (451, ("4.3.0 later",))]
    assert not reader.pending


def test_the_enhanced_status_is_taken_off_every_line() -> None:
    assert from_lines(550, ("5.1.1 no such", "5.1.1 user")) == Reply(550, "5.1.1", "no such user")


@pytest.mark.parametrize(
    "wire", [b"hello\r\n", b"\r\n", b"250-a\r\n550 b\r\n", b"99 x\r\n", b"2500 x\r\n", b"x" * 3000, b"250-x\r\n" * 200]
)
def test_what_is_no_reply_is_an_error(wire: bytes) -> None:
    reader = ReplyReader()
    with pytest.raises(ReplyError):  # noqa: PT012 - which call notices is not the point
        reader.feed(wire)
        while reader.lines() is not None:
            pass


def test_an_endless_answer_is_cut_short() -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(b"x" * 1_000_000)
