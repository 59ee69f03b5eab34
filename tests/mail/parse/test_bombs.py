"""Mails made to exhaust the reader end within the budget and are never plain or clean."""

from __future__ import annotations

import pytest

from tests.mail.parse.build import mail, reading

DEEP = b"".join(b"Content-Type: multipart/mixed; boundary=l%d\r\n\r\n--l%d\r\n" % (level, level) for level in range(5000))
BOMBS = {
    "depth 5,000": DEEP,
    "a million parts": mail(b"Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n\r\nx\r\n" * 1_000_000),
    "a header line of 20 MB": b"Subject: " + b"a" * 20_000_000 + b"\r\n\r\nx",
    "700,000 files in a text": mail(body=b"begin 644 a\nM\n" * 700_000),
    "three million delimiters": mail(b"Content-Type : multipart/mixed; boundary=b", body=b"--\n" * 3_000_000),
    "200,000 nested messages": b"Content-Type: message/rfc822\r\n\r\n" * 200_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bomb_is_unchecked(bomb):
    result = reading(BOMBS[bomb])

    assert not result.plain
    assert "unchecked" in {finding.kind for finding in result.findings}
