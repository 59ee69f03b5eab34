"""Certification of an engine: it must find the test file in every wrapping, and pass every harmless twin.

What it does: asks an engine about each sample, as the pipeline would, and keeps what it missed.
Not its job: making samples (`samples`), parsing them (the caller hands that in), switching the engine off.
Raises: nothing; an engine that fails on a sample has missed it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gatepost.mail.inspect.engine import Engine, EngineInfo
from gatepost.mail.inspect.samples import Sample, samples
from gatepost.mail.model import Envelope, Finding, Kind, Message
from gatepost.system.foreign import attempt

SECONDS = 30.0  # for one sample
_ENVELOPE = Envelope("sample@example.org", ("sample@example.com",))

Reader = Callable[[bytes], Message]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one engine, with one set of signatures, found and did not find; each miss is the sample's name and why.

    One that is no antivirus (spam, banned files, known contents) need not find the test file, and is certified by the harmless samples alone.
    """

    engine: str
    version: str
    signatures: str
    detected: tuple[str, ...]
    missed: tuple[tuple[str, str], ...] = ()
    false_alarms: tuple[tuple[str, str], ...] = ()
    antivirus: bool = True

    @property
    def passed(self) -> bool:
        """Tell whether the engine may be used: it found all that it must, and nothing else."""
        return (bool(self.detected) or not self.antivirus) and not self.missed and not self.false_alarms

    @property
    def id(self) -> str:
        """Give a short digest of all that the certificate says, for receipts."""
        return hashlib.sha256(
            repr((self.engine, self.version, self.signatures, self.detected, self.missed, self.false_alarms)).encode()
        ).hexdigest()[:16]


def certify(engine: Engine, read: Reader, given: Iterable[Sample] | None = None, *, antivirus: bool = True) -> Certificate:
    """Ask `engine` about every sample, or the harmless ones only; `read` turns a mail into what engines are given (parsed and unpacked)."""
    detected: list[str] = []
    missed: list[tuple[str, str]] = []
    alarms: list[tuple[str, str]] = []
    for sample in samples() if given is None else given:
        if sample.infected and not antivirus:
            continue
        answer = attempt(engine.inspect, read(sample.mail), _ENVELOPE, time.monotonic() + SECONDS)
        wrong = _wrong(sample, answer)
        if wrong:
            (missed if sample.infected else alarms).append((sample.name, wrong))
        elif sample.infected:
            detected.append(sample.name)
    info = attempt(engine.info)
    known = info if isinstance(info, EngineInfo) else EngineInfo("")
    return Certificate(engine.name, known.version, known.signatures, tuple(detected), tuple(missed), tuple(alarms), antivirus)


def _wrong(sample: Sample, answer: tuple[Finding, ...] | Exception) -> str:
    """Say what is wrong with an answer, or ""."""
    if isinstance(answer, Exception):
        return f"{type(answer).__name__}: {answer}"
    kinds = {finding.kind: finding.name for finding in answer}
    if sample.infected:
        return "" if Kind.VIRUS in kinds else "not found"
    return next((f"{kind}: {kinds[kind]}" for kind in (Kind.VIRUS, Kind.BANNED, Kind.SUSPECT, Kind.UNCHECKED) if kind in kinds), "")
