"""The mails that benchmarks send: real ones, a day's mixture with attachments, and a campaign that says the same to everybody."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.support.mails import CLEAN, INFECTED, mail, zipped

SHARED = Path(__file__).resolve().parents[3] / "shared"
KIB = 1024
WORDS = b"invoice order meeting please find attached the report for your review regards thanks project plan budget".split()


def real(count: int) -> list[bytes]:
    """Real mails where the developers' corpus is present, mails of our own otherwise; with CRLF lines."""
    files = sorted(path for path in (SHARED / "corpus").rglob("*") if path.is_file() and path.name != "SOURCES.md")
    if not files:
        return [mail(f"number {number}", text="A line of text, like many.\r\n" * (number % 200)) for number in range(count - 1)] + [CLEAN]
    chosen = random.Random(20261123).sample(files, min(count, len(files)))
    return [_crlf(path.read_bytes()) for path in chosen]


def _crlf(content: bytes) -> bytes:
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\r\n".join(line for line in lines if not line.startswith((b"From ", b">From ")) or line is not lines[0])


def mixed(count: int) -> list[bytes]:
    """Of 100 mails 62 real ones, 20 of 10 KB, 11 of 100 KB with a picture, 6 of 1 MB with a PDF or ZIP, one of 10 MB; five infected."""
    dice = random.Random(11)
    found = real(62 * count // 100)
    found += [mail(f"letter {n}", text=_text(dice, 10 * KIB)) for n in range(20 * count // 100)]
    found += [mail(f"picture {n}", text=_text(dice, 20 * KIB), file=("a.png", _png(dice, 40 * KIB))) for n in range(11 * count // 100)]
    found += [mail(f"file {n}", file=_document(dice, n)) for n in range(6 * count // 100)]
    found += [mail("archive", file=("all.zip", zipped("all.txt", _text(dice, 20 * KIB * KIB).encode()))) for _ in range(count // 100)]
    found[:: max(1, len(found) // 5)] = [*INFECTED.values(), *INFECTED.values()][: len(found[:: max(1, len(found) // 5)])]
    dice.shuffle(found)
    return found


def campaign(count: int) -> list[bytes]:
    """A newsletter with the same files for everybody; only the header differs."""
    dice = random.Random(12)
    body = mail("news", text=_text(dice, 8 * KIB), file=("news.zip", zipped("news.txt", _text(dice, 600 * KIB).encode())))
    return [body.replace(b"Subject: news", b"Subject: news for reader %d" % number) for number in range(count)]


def _text(dice: random.Random, size: int) -> str:
    """So many bytes of words in lines."""
    lines, length = [], 0
    while length < size:
        lines.append(b" ".join(dice.choices(WORDS, k=11)).decode())
        length += len(lines[-1]) + 2
    return "\r\n".join(lines) + "\r\n"


def _png(dice: random.Random, size: int) -> bytes:
    """A picture of noise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    side = int((size / 3) ** 0.5)
    rows = b"".join(b"\0" + dice.randbytes(3 * side) for _ in range(side))
    head = struct.pack("!IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _document(dice: random.Random, number: int) -> tuple[str, bytes]:
    if number % 2:
        return "b.zip", zipped("b.txt", base64.encodebytes(dice.randbytes(750 * KIB)))
    stream = zlib.compress(base64.encodebytes(dice.randbytes(900 * KIB)))
    return "a.pdf", b"%%PDF-1.4\n1 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream\nendobj\n%%%%EOF\n" % (
        len(stream),
        stream,
    )


SETS: dict[str, Callable[[int], list[bytes]]] = {"real": real, "mixed": mixed, "campaign": campaign}
