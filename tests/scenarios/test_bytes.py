"""What is scanned is what is delivered, byte for byte; what is released verifies; the largest and oddest mails are answered."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dkim
import pytest
from aiosmtpd.smtp import SMTP
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost.mail.act.receipt import verify_receipt
from gatepost.services import keys
from tests.support.clamd import Clamd
from tests.support.eicar import EICAR
from tests.support.gateway import Gateway
from tests.support.mails import mail, send
from tests.support.ports import wait_for
from tests.support.sink import Delivered, Sink
from tests.support.traffic import DATE
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

LET_EVERYTHING_PASS = """
[[policy.rules]]
name = "everything"
findings = ["virus", "banned", "spam", "suspect", "ambiguous", "encrypted", "unchecked"]
then = "deliver"
unscanned = true
reason = "only the bytes matter here"
"""

OURS = re.compile(rb"^X-Gatepost-[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", re.MULTILINE)
RECEIPT = re.compile(rb"^X-Gatepost-Scan: ((?:[^\r]*\r\n)(?:[ \t][^\r]*\r\n)*)", re.MULTILINE)
FIRST_FIELD = re.compile(rb"\AReceived:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*")

HEADER_SIZE_LIMIT = 102_400
"""Postfix's default, in bytes. A filter sees such a field cut; one of addresses the next hop gets cut elsewhere, for they are rewritten."""

BIG = 50_000_000
"""Just below the default `size_limit` of 50 MiB."""


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """An end of the line that takes lines of any length, as Postfix is told to write them."""
    monkeypatch.setattr(SMTP, "line_length_limit", 8 << 20)
    server = Sink()
    yield server
    server.stop()


def as_sent(content: bytes) -> bytes:
    """With the line endings of SMTP, and one at the end."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def as_scanned(delivered: bytes) -> bytes:
    """The rule: what Postfix delivers without our fields, and then without the first, which is the Received that it adds unseen by filters."""
    header, empty, body = delivered.partition(b"\r\n\r\n")
    return FIRST_FIELD.sub(b"", OURS.sub(b"", header + b"\r\n")) + empty[2:] + body


def difference(one: Delivered, digest: str) -> str:
    """How what was delivered differs from what was scanned, in words; "" when not at all."""
    content = as_scanned(one.content)
    if hashlib.sha256(content).hexdigest() == digest:
        return ""
    # A mail of header fields alone: Postfix tells a filter nothing of the empty line, and we end every header with one.
    if b"\r\n\r\n" not in one.content and hashlib.sha256(content + b"\r\n").hexdigest() == digest:
        return "no empty line"
    return "differs"


def is_cut(sent: bytes) -> bool:
    """Whether Postfix cuts a header field of this mail: a field of addresses it cuts once more after filters have seen it, at another place."""
    header = sent.partition(b"\r\n\r\n")[0]
    return any(len(field) > HEADER_SIZE_LIMIT for field in re.split(rb"\r\n(?![ \t])", header))


@pytest.mark.parametrize("every", [24, pytest.param(1, marks=[pytest.mark.faults, pytest.mark.timeout(1500)])], ids=["sample", "all"])
def test_what_the_engines_saw_is_what_postfix_delivers_of_every_corpus_message(
    every: int, shared: Path, gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink
) -> None:
    running = gateway(LET_EVERYTHING_PASS)
    way = start_way("postfix", running)
    assert way.mta is not None
    files = itertools.islice(sorted(path for path in (shared / "corpus").rglob("*") if path.parent != shared / "corpus"), None, None, every)
    mails = [as_sent(path.read_bytes()) for path in files if path.is_file()]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda content: send(way.traffic.port, content), mails))
    taken = sum(code == 250 for code, _ in answers)
    sink.wait(taken, 300)
    wait_for(lambda: not way.mta.queued(), "an empty queue", 60)  # type: ignore[union-attr]

    key = keys.public_receipts(running.home / "state/keys")
    found: Counter[str] = Counter()
    for one in sink.delivered:
        (receipt,) = RECEIPT.findall(one.content)
        how = difference(one, verify_receipt(receipt.decode(), key)["sha256"])
        found[how] += 1
        if how:
            print(how, one.content[:3000])
    refused = Counter(text for code, text in answers if code != 250)
    print(f"{len(mails)} sent, {taken} delivered, differences: {dict(found)}, refused: {dict(refused)}")

    assert len(sink.delivered) == taken
    assert found["differs"] <= sum(map(is_cut, mails))
    assert set(found) <= {"", "no empty line", "differs"}
    # Postfix counts Received fields itself (hopcount_limit 50) and ends what goes round in circles.
    assert all("too many hops" in text for text in refused), refused


def test_a_byte_changed_behind_the_filter_is_seen() -> None:
    """The negative control of the rule."""
    content = b"X-Gatepost-Scan: id\r\nReceived: from x\r\n\tby y\r\nSubject: s\r\n\r\nbody\r\n"
    digest = hashlib.sha256(b"Subject: s\r\n\r\nbody\r\n").hexdigest()

    assert difference(Delivered("", (), content), digest) == ""
    assert difference(Delivered("", (), content.replace(b"body", b"Body")), digest) == "differs"
    assert difference(Delivered("", (), content.replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n")), digest) == "differs"


@pytest.mark.parametrize("name", ["proxy", pytest.param("postfix", marks=pytest.mark.faults)])
def test_a_signed_mail_that_was_held_and_released_still_verifies(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink
) -> None:
    """RFC 6376 with both canonicalisations "simple", which forgives nothing."""
    secret = rsa.generate_private_key(65537, 2048)
    pem = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    der = secret.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)
    plain = DATE + mail("signed", file=("setup.exe", b"MZ" + bytes(3000)))
    content = dkim.sign(plain, b"sel", b"partner.example", pem, canonicalize=(b"simple", b"simple")) + plain
    running = gateway()
    way = start_way(name, running)

    assert send(way.traffic.port, content, forwarded="203.0.113.7" if name == "proxy" else "")[0] == 250
    (row,) = running.rows(count=1)
    assert row.state == "quarantined"
    running.command("quarantine", "release", row.id, row.recipient)

    (delivered,) = sink.wait(1)
    assert dkim.verify(delivered.content, dnsfunc=lambda *_, **__: record)
    assert not dkim.verify(delivered.content.replace(b"MZ", b"ZM").replace(b"TVoA", b"WloA"), dnsfunc=lambda *_, **__: record)


def big(*, attached: bool) -> bytes:
    """A mail of 50 MB whose very last bytes of content are the test file."""
    head = (
        DATE
        + b"From: carol@partner.example\r\nTo: bob@widget.example\r\nSubject: big\r\nMessage-ID: <big@partner.example>\r\nMIME-Version: 1.0\r\n"
    )
    if not attached:
        line = b"All work and no play makes the relay a dull box, said the postmaster again.\r\n"
        head += b"Content-Type: text/plain\r\n\r\n"
        return head + line * ((BIG - len(head) - len(EICAR)) // len(line)) + EICAR + b"\r\n"
    raw = bytes(range(256)) * (BIG * 3 // 4 // 260) + EICAR
    text = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    head += b"Content-Type: application/octet-stream; name=data.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + text


@pytest.mark.faults
@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_fifty_megabytes_with_the_virus_at_the_very_end_are_never_delivered(
    name: str, attached: bool, gateway: Callable[..., Gateway], start_way: StartWay, clamd: Clamd, sink: Sink
) -> None:
    """With clamd's own limits, which are below this size, and with the default ones of Gatepost."""
    running = gateway(f'[engines.clamav]\nsocket = "{clamd.address}"\n')
    way = start_way(name, running)
    start = time.monotonic()

    code, text = send(way.traffic.port, big(attached=attached), forwarded="203.0.113.7" if name == "proxy" else "")

    (row,) = running.rows(count=1)
    print(f"{name}, {'attachment' if attached else 'text'}: {code} {text} ({row.state}) in {time.monotonic() - start:.1f} s")
    assert row.state in {"rejected", "quarantined", "tempfailed"}
    assert way.mta is None or not way.mta.queued()
    assert sink.delivered == []


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_twenty_thousand_header_lines_are_answered(name: str, gateway: Callable[..., Gateway], start_way: StartWay, sink: Sink) -> None:
    way = start_way(name, gateway())
    content = b"".join(b"X-Line-%d: value %d\r\n" % (number, number) for number in range(20_000)) + DATE + mail("lines")
    start = time.monotonic()

    code, text = send(way.traffic.port, content, forwarded="203.0.113.7" if name == "proxy" else "")

    print(f"20,000 header lines by {name}: {code} {text} in {time.monotonic() - start:.2f} s")
    assert code in {250, 550, 552, 554}
    assert len(sink.wait(1, 5)) == (code == 250 and "kept" not in text)
