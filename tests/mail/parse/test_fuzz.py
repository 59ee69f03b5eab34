"""The invariants of the fuzz targets hold on random bytes and on broken mail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_parse, fuzz_parse_transfer, fuzz_parse_value
from tests.mail.parse.build import EVIL, TEXT, b64, mail, mixed

PIECES = st.sampled_from(
    [
        b"Content-Type: ",
        b"multipart/mixed; boundary=b1",
        b"Content-Transfer-Encoding: base64",
        b"message/rfc822",
        b"--b1",
        b"--",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\x00",
        b"=\r\n",
        b"=4",
        b"begin 644 a\n",
        b"=ybegin line=1 size=1 name=a\n",
        b"BinHex\n:",
        b"(",
        b'"',
        b"\\",
        b"=?utf-8?q?a=20b?=",
        b"*0=",
        b"name=",
        b"\xff\xfe",
        b";",
        b" ",
        b64(),
    ]
)
MAILS = st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40).map(b"".join)


@pytest.mark.parametrize("target", [fuzz_parse.target, fuzz_parse_value.target, fuzz_parse_transfer.target])
@settings(max_examples=150, deadline=None)
@given(data=MAILS)
def test_invariant_holds_on_glued_pieces_of_mail(target, data):
    target(data)


def test_invariant_holds_on_mails_with_changed_bytes():
    chance = random.Random(7)
    raw = mixed(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + mixed(EVIL, boundary=b"in"), mail(body=b"begin 644 a\r\n"))

    for _ in range(300):
        broken = bytearray(raw)
        for _ in range(chance.randint(1, 5)):
            broken[chance.randrange(len(broken))] = chance.choice(b'\x00\r\n\t =-:;"()\\\xff%')
        fuzz_parse.target(bytes(broken))
