"""Raw mails for the tests of this room, written byte by byte since no mail library writes broken ones."""

from __future__ import annotations

import base64
import time

from gatepost.mail.budget import Budget, Limits
from gatepost.mail.parse import Reading, read

# Two pieces, so that this file itself does not trip a scanner.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def budget(**limits: float) -> Budget:
    return Budget(Limits(**limits), time.process_time, time.monotonic)


def reading(raw: bytes, **limits: float) -> Reading:
    return read(raw, budget(**limits))


def b64(data: bytes = EICAR, eol: bytes = b"\r\n") -> bytes:
    return base64.encodebytes(data).replace(b"\n", eol)


def mail(*fields: bytes, body: bytes = b"") -> bytes:
    return b"".join(field + b"\r\n" for field in (b"From: a@example.net", b"Subject: test", *fields)) + b"\r\n" + body


def multipart(*parts: bytes, boundary: bytes = b"b1", close: bool = True) -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return body + (b"--" + boundary + b"--\r\n" if close else b"")


def mixed(*parts: bytes, boundary: bytes = b"b1") -> bytes:
    return mail(b"Content-Type: multipart/mixed; boundary=" + boundary, body=multipart(*parts, boundary=boundary))


TEXT = b"Content-Type: text/plain\r\n\r\nHello."
EVIL = b'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + b64()


def shows(result: Reading, payload: bytes = EICAR) -> bool:
    return any(payload in bytes(part.data) for part in result.parts)
