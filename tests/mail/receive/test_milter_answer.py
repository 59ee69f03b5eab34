"""Answers of the handler as packets for the MTA."""

from __future__ import annotations

import struct

import pytest
from tests.support import milter_client as mta

from gatepost.mail.model import Answer, HeaderEdit, Reply
from gatepost.mail.receive.milter_answer import final_packets
from gatepost.mail.receive.milter_wire import Action, Options, ProtocolError, Step

OK = Reply(250, "2.0.0", "Ok")
ADDRESSES = {"b@example.net": b"<b@example.net>", "c@example.net": b"C@example.net"}
ALL = Options(6, 0x1FF, Step.HDR_LEADSPC)
EVERYBODY = tuple(ADDRESSES)


def split(data: bytes) -> list[tuple[bytes, bytes]]:
    packets = []
    while data:
        (length,) = struct.unpack("!I", data[:4])
        packets.append((data[4:5], data[5 : 4 + length]))
        data = data[4 + length :]
    return packets


def test_a_clean_mail_goes_on_unchanged() -> None:
    assert split(final_packets(Answer(OK, EVERYBODY), ADDRESSES, ALL)) == [(b"c", b"")]


@pytest.mark.parametrize("reply", [Reply(550, "5.7.1", "virus"), Reply(451, "4.7.1", "later")])
def test_a_refusal_is_the_only_packet_whatever_else_the_answer_holds(reply: Reply) -> None:
    answer = Answer(reply, EVERYBODY, (HeaderEdit("X", "y"),), b"\r\nbody")

    assert split(final_packets(answer, ADDRESSES, ALL)) == [(b"y", f"{reply.code} {reply.status} {reply.text}\0".encode())]


def test_a_mail_for_nobody_is_discarded() -> None:
    assert split(final_packets(Answer(OK), ADDRESSES, ALL)) == [(b"d", b"")]


def test_recipients_not_in_the_answer_are_taken_back_as_the_mta_wrote_them() -> None:
    assert split(final_packets(Answer(OK, ("b@example.net",)), ADDRESSES, ALL)) == [(b"-", b"C@example.net\0"), (b"c", b"")]


def test_a_recipient_that_the_mail_has_not_is_never_guessed() -> None:
    with pytest.raises(ProtocolError):
        final_packets(Answer(OK, ("b@example.net", "x@example.net")), ADDRESSES, ALL)


def test_deletions_go_from_the_last_to_the_first_and_additions_end_in_the_given_order() -> None:
    edits = (HeaderEdit("X-Scan", "clean"), HeaderEdit("X-Old", None, 1), HeaderEdit("X-Old", None, 3), HeaderEdit("X-Second", "t"))

    assert split(final_packets(Answer(OK, EVERYBODY, edits), ADDRESSES, ALL)) == [
        (b"m", b"\0\0\0\3X-Old\0\0"),
        (b"m", b"\0\0\0\1X-Old\0\0"),
        (b"i", b"\0\0\0\0X-Second\0 t\0"),
        (b"i", b"\0\0\0\0X-Scan\0 clean\0"),
        (b"c", b""),
    ]


def test_a_value_with_line_ends_stays_one_field() -> None:
    answer = Answer(OK, EVERYBODY, (HeaderEdit("Subject", "[spam] a\rb\r\nX-Evil: c\0\r\n d"),))

    assert split(final_packets(answer, ADDRESSES, ALL))[0] == (b"i", b"\0\0\0\0Subject\0 [spam] a\n\tb\n\tX-Evil: c \n\td\0")


def test_an_mta_that_adds_the_space_itself_is_sent_none() -> None:
    packets = split(final_packets(Answer(OK, EVERYBODY, (HeaderEdit("X", "y"),)), ADDRESSES, Options(6, 0x1FF, 0)))

    assert packets[0] == (b"i", b"\0\0\0\0X\0y\0")


def test_an_mta_older_than_insertion_appends() -> None:
    packets = split(final_packets(Answer(OK, EVERYBODY, (HeaderEdit("X", "y"),)), ADDRESSES, Options(2, 0x1FF, 0)))

    assert packets[0] == (b"h", b"X\0y\0")


def test_replaced_content_brings_its_own_content_fields() -> None:
    header = b"MIME-Version: 1.0\r\nSubject: x\r\nContent-Type: multipart/mixed;\r\n boundary=b\r\ncontent-type: text/plain\r\n\r\n"
    body = b"Content-Type: text/html;\r\n charset=utf-8\r\nSubject: not taken\r\nMIME-Version: 1.0\r\n\r\nContent-Id: body\r\n"

    assert split(final_packets(Answer(OK, EVERYBODY, (), body), ADDRESSES, ALL, header)) == [
        (b"m", b"\0\0\0\1mime-version\0\0"),
        (b"m", b"\0\0\0\2content-type\0\0"),
        (b"m", b"\0\0\0\1content-type\0\0"),
        (b"h", b"Content-Type\0 text/html;\n charset=utf-8\0"),
        (b"h", b"MIME-Version\0 1.0\0"),
        (b"b", b"Content-Id: body\r\n"),
        (b"c", b""),
    ]


def test_replaced_content_may_have_no_fields() -> None:
    assert split(final_packets(Answer(OK, EVERYBODY, (), b"\r\ntext\r\n\r\nmore\r\n"), ADDRESSES, ALL)) == [
        (b"b", b"text\r\n\r\nmore\r\n"),
        (b"c", b""),
    ]


def test_replaced_content_without_an_end_of_header_is_refused() -> None:
    with pytest.raises(ProtocolError):
        final_packets(Answer(OK, EVERYBODY, (), b"text"), ADDRESSES, ALL)


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        (Answer(OK, ("b@example.net",)), Action.DELRCPT),
        (Answer(OK, EVERYBODY, (HeaderEdit("X", "y"),)), Action.ADDHDRS),
        (Answer(OK, EVERYBODY, (HeaderEdit("X"),)), Action.CHGHDRS),
        (Answer(OK, EVERYBODY, (), b"\r\nbody"), Action.CHGBODY),
    ],
)
def test_a_change_that_was_not_agreed_fails_the_whole_answer(answer: Answer, missing: Action) -> None:
    assert final_packets(answer, ADDRESSES, ALL)
    with pytest.raises(ProtocolError):
        final_packets(answer, ADDRESSES, Options(6, 0x1FF & ~missing, 0))


@pytest.mark.parametrize("code", [0, 200, 251, 354, 600])
def test_a_reply_that_is_neither_250_nor_a_refusal_is_refused(code: int) -> None:
    with pytest.raises(ProtocolError):
        final_packets(Answer(Reply(code, "2.0.0", "x"), EVERYBODY), ADDRESSES, ALL)


def test_client_and_answer_agree_on_packet_layout() -> None:
    assert final_packets(Answer(OK), ADDRESSES, ALL) == mta.packet(b"d")
