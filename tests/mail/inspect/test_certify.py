"""Certification: an engine that misses a wrapping, or calls a twin infected, is refused."""

from __future__ import annotations

import time
import zipfile
from ctypes.util import find_library
from email import message_from_bytes
from io import BytesIO
from pathlib import Path

import pytest
from tests.support.clamd import write_signatures

from gatepost.mail.engines.libclamav import Libclamav
from gatepost.mail.engines.yara import Yara
from gatepost.mail.inspect.certify import certify
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.inspect.samples import EICAR, TWIN, WRAPPINGS, samples
from gatepost.mail.model import Budget, Envelope, Finding, Kind, Limits, Message
from gatepost.mail.parse import read
from gatepost.mail.unpack import walk


def whole(mail: bytes) -> Message:
    """What engines are given in the pipeline."""
    budget = Budget(Limits(), time.process_time, time.monotonic)
    reading = read(mail, budget)
    return Message(mail, walk(reading.parts, budget, read, ()).parts, reading.plain)


class Answering:
    name = "answering"
    local = True

    def __init__(self, answer) -> None:
        self.answer = answer

    def info(self) -> EngineInfo:
        return EngineInfo("1", "2")

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        return self.answer(message)


def test_the_embedded_engine_is_certified():
    """YARA-X behind our own reading and unpacking finds the test file in every wrapping and passes every twin."""
    certificate = certify(Yara("yara", {}), whole)

    assert certificate.passed, (certificate.missed, certificate.false_alarms)
    assert set(certificate.detected) == set(WRAPPINGS)
    assert certificate.version.startswith("YARA-X")


@pytest.mark.skipif(find_library("clamav") is None, reason="needs libclamav (Debian package libclamav12)")
def test_an_engine_with_a_broken_unpacker_is_refused(tmp_path: Path):
    """ClamAV alone, without our unpacking, misses wrappings that it cannot open: they are listed, and it is not certified."""
    write_signatures(tmp_path)
    engine = Libclamav("libclamav", {"database": str(tmp_path)})
    alone = certify(engine, Message)

    assert certify(engine, whole).passed
    assert not alone.passed
    assert {name for name, _ in alone.missed} >= {"lzma", "zip-lzma"}


def test_an_engine_that_calls_everything_infected_is_refused():
    """Every twin is a false alarm."""
    certificate = certify(Answering(lambda _: (Finding(Kind.VIRUS, "X"),)), whole)

    assert not certificate.passed
    assert {name for name, _ in certificate.false_alarms} == set(WRAPPINGS)


def test_an_engine_that_finds_nothing_or_fails_is_refused():
    """Silence and errors are misses, each with its reason."""

    def fail(_: Message) -> tuple[Finding, ...]:
        raise EngineError("down")

    silent, failing = certify(Answering(lambda _: ()), whole), certify(Answering(fail), whole)

    assert dict(silent.missed)["zip-deflated"] == "not found"
    assert dict(failing.missed)["zip-deflated"] == "EngineError: down"
    assert not certify(Answering(lambda _: ()), whole, []).passed


def test_samples_are_always_the_same_and_differ_from_their_twins():
    """Two runs give the same bytes; each wrapping gives an infected mail and a harmless one."""
    first, second = list(samples()), list(samples())

    assert first == second
    assert len(first) == 2 * len(WRAPPINGS)
    assert len({sample.mail for sample in first}) == len(first)
    assert len(EICAR) == len(TWIN) == 68
    assert sum(a != b for a, b in zip(EICAR, TWIN, strict=True)) == 1


def test_samples_hold_what_they_say():
    """Python's own reader, which shares no code with ours, finds the test file in a zip of a sample."""
    mail = next(sample.mail for sample in samples() if sample.name == "zip-deflated" and sample.infected)
    attachment = message_from_bytes(mail).get_payload()[1].get_payload(decode=True)

    assert zipfile.ZipFile(BytesIO(attachment)).read("sample.bin") == EICAR


def test_a_certificate_has_an_id_that_tells_it_from_others():
    """Receipts name the certificate; another result is another id."""
    good, bad = certify(Yara("yara", {}), whole), certify(Answering(lambda _: ()), whole)

    assert len(good.id) == 16
    assert good.id != bad.id
