"""Inputs for fuzz targets: seeds, and what becomes of them when somebody plays tricks.

Every input follows from a seed number, so that a failure can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

TOKENS: tuple[bytes, ...] = (
    b"\r\n", b"\n", b"\r", b"\0", b".\r\n", b"--", b"--b\r\n", b"\r\n\r\n", b"=", b"==", b"=\r\n", b"?=", b"=?utf-8?b?", b":", b";", b'"', b"(",
    b")", b"\\", b"<", b">", b"%", b"\xff", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"begin 644 a\r\n", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x1f\x8b\x08", b"%PDF-", b"{\\rtf1",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x00", b"\x30\x80", b"<script>", b"atob('",
)  # fmt: skip
"""Pieces that parsers look for."""

LIMIT = 64 * 1024
"""Inputs stay below so many bytes, so that many of them fit into a second."""


def _flip(data: bytearray, dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _set(data: bytearray, dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _insert(data: bytearray, dice: random.Random) -> None:
    at = dice.randint(0, len(data))
    data[at:at] = dice.choice(TOKENS)


def _delete(data: bytearray, dice: random.Random) -> None:
    at = dice.randint(0, len(data))
    del data[at : at + dice.randint(1, 64)]


def _repeat(data: bytearray, dice: random.Random) -> None:
    at = dice.randint(0, len(data))
    piece = bytes(data[at : at + dice.randint(1, 256)])
    data[at:at] = piece * dice.randint(1, 8)


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randint(0, len(data)) :]


def _number(data: bytearray, dice: random.Random) -> None:
    if len(data) >= 4:
        at = dice.randrange(len(data) - 3)
        data[at : at + 4] = dice.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, len(data), dice.getrandbits(32))).to_bytes(
            4, dice.choice(("big", "little"))
        )


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _set, _insert, _delete, _repeat, _cut, _number, _insert)


def inputs(seeds: Sequence[bytes], number: int) -> Iterator[bytes]:
    """Inputs without end: the seeds themselves first, then changed ones, two seeds crossed now and then."""
    dice = random.Random(number)
    yield from seeds
    while True:
        data = bytearray(dice.choice(seeds)[:LIMIT] if seeds else dice.randbytes(dice.randint(0, 200)))
        if seeds and dice.random() < 0.1:
            other = dice.choice(seeds)
            data[dice.randint(0, len(data)) :] = other[dice.randint(0, len(other)) :][:LIMIT]
        for _ in range(dice.randint(1, 6)):
            dice.choice(CHANGES)(data, dice)
        yield bytes(data[:LIMIT])
