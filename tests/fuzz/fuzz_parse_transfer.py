"""Whatever the bytes, every decoder returns, and a base64 or quoted-printable content is never longer than what it was decoded from."""

from __future__ import annotations

from gatepost.mail.parse import derive, transfer
from gatepost.mail.parse.transfer import Encoding


def target(data: bytes) -> None:
    """Decode the bytes in every encoding and every lenient way."""
    for encoding in Encoding:
        content, _ = transfer.decode(encoding, data)
        assert encoding not in {Encoding.BASE64, Encoding.QUOTED} or len(content) <= len(data)
    for readings in (derive.base64_all, derive.quoted_all):
        assert all(len(content) <= len(data) for content in readings(data))
    for readings in (derive.uu_readings, derive.yenc_readings, derive.binhex_readings, derive.guessed_readings, derive.sweep):
        assert all(isinstance(content, bytes) for content in readings(data))
