"""A mail on its way out, with header fields added and taken out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.act.rewrite import CHUNK, Outgoing
from gatepost.mail.model import HeaderEdit

MAIL = b"A: 1\r\nB: 2\r\n folded\r\na : 3\r\nSubject: x\r\n\r\nA: body\r\n"


def out(mail: bytes, *edits: HeaderEdit, body: bytes | None = None) -> bytes:
    outgoing = Outgoing(mail, edits, body)
    whole = b"".join(outgoing.chunks())
    assert outgoing.size == len(whole)
    return whole


def test_without_edits_every_octet_stays() -> None:
    assert out(MAIL) == MAIL


@pytest.mark.parametrize(
    ("edit", "gone"),
    [
        (HeaderEdit("A"), b"A: 1\r\n"),
        (HeaderEdit("a", index=2), b"a : 3\r\n"),
        (HeaderEdit("B"), b"B: 2\r\n folded\r\n"),
        (HeaderEdit("A", index=3), b""),
        (HeaderEdit("Absent"), b""),
    ],
)
def test_the_nth_field_goes_with_its_folded_lines_and_never_one_of_the_body(edit: HeaderEdit, gone: bytes) -> None:
    assert out(MAIL, edit) == MAIL.replace(gone, b"", 1)


def test_new_fields_stand_on_top_in_order_and_several_edits_do_not_disturb_each_other() -> None:
    edits = (HeaderEdit("X", "1"), HeaderEdit("A"), HeaderEdit("Y", "2"), HeaderEdit("A", index=2), HeaderEdit("A"))

    assert out(MAIL, *edits) == b"X: 1\r\nY: 2\r\nB: 2\r\n folded\r\nSubject: x\r\n\r\nA: body\r\n"


@pytest.mark.parametrize("value", ["1\r\nBcc: x", "1\nBcc: x", "1\r\n\r\nbody", "1\r\r\n\r\nBcc: x", "\r\n1\0"])
def test_no_value_begins_another_field_or_the_body(value: str) -> None:
    top = out(b"\r\nbody\r\n", HeaderEdit("X", value)).removesuffix(b"\r\nbody\r\n")

    assert all(line.startswith((b"X: ", b"\t")) for line in top.split(b"\r\n")[:-1])
    assert b"\0" not in top


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "ä"])
def test_a_name_that_is_none_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Outgoing(MAIL, (HeaderEdit(name, "x"),))


def test_a_cleaned_mail_takes_the_place_of_the_whole() -> None:
    assert out(MAIL, HeaderEdit("X", "1"), HeaderEdit("A"), body=b"A: 9\r\n\r\nclean\r\n") == b"X: 1\r\n\r\nclean\r\n"


@pytest.mark.parametrize("mail", [b"", b"A: 1", b"\r\n", b"\r\nA: 1\r\n", b"A: 1\r\n"])
def test_mails_without_header_or_body_are_left_whole(mail: bytes) -> None:
    assert out(mail) == mail
    assert out(mail, HeaderEdit("A")) in {mail, b""}


def test_a_large_mail_comes_in_pieces() -> None:
    mail = b"A: 1\r\n\r\n" + b"x" * (3 * CHUNK)

    assert max(map(len, Outgoing(mail).chunks())) == CHUNK
    assert out(mail, HeaderEdit("A")) == mail[6:]


def test_received_fields_are_counted_in_the_header_only() -> None:
    assert Outgoing(b"Received: a\r\nRECEIVED : b\r\n\r\nReceived: c\r\n").hops == 2


@given(st.binary(max_size=200), st.sampled_from("AB"), st.integers(1, 3))
def test_taking_out_a_field_only_ever_takes_out(mail: bytes, name: str, index: int) -> None:
    """Whatever the mail, what is left is a prefix and a suffix of it."""
    left = out(mail, HeaderEdit(name, index=index))

    assert any(left == mail[:at] + mail[len(mail) - (len(left) - at) :] for at in range(len(left) + 1))
