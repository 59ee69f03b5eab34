"""Unpacking made short for tests: bytes in, parts and findings out, with clocks that stand still unless told."""

from __future__ import annotations

import email
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.mail.model import Budget, Buffer, Finding, Kind, Limits, Part
from gatepost.mail.unpack import Unpacked, walk
from tests.support.eicar import EICAR


@dataclass(frozen=True)
class Mail:
    """What a stand-in for the reader of mails gives."""

    parts: Sequence[Part]
    findings: Sequence[Finding] = ()


def read_mail(raw: Buffer, _: Budget) -> Mail:
    """Read a mail by the standard library."""
    leaves = [part for part in email.message_from_bytes(bytes(raw)).walk() if not part.is_multipart()]
    return Mail(
        [
            Part(str(number), leaf.get_payload(decode=True) or b"", tuple(filter(None, [leaf.get_filename()])), leaf.get_content_type())
            for number, leaf in enumerate(leaves, 1)
        ]
    )


def budget(limits: Limits | None = None, cpu: Callable[[], float] = lambda: 0.0) -> Budget:
    """A budget whose clocks stand still."""
    return Budget(limits or Limits(), cpu, lambda: 0.0)


def unpack(
    data: Buffer, name: str = "file.bin", passwords: Sequence[str] = (), limits: Limits | None = None, declared: str = ""
) -> Unpacked:
    """Walk through one attachment."""
    return walk([Part("1", data, (name,), declared)], budget(limits), read_mail, passwords)


def contents(unpacked: Unpacked) -> list[bytes]:
    """The bytes of all parts but the first."""
    return [bytes(part.data) for part in unpacked.parts[1:]]


def caught(unpacked: Unpacked) -> bool:
    """Whether some part inside is the test file itself."""
    return EICAR in contents(unpacked)


def names(unpacked: Unpacked, kind: Kind) -> set[str]:
    """The names of the findings of one kind."""
    return {found.name for found in unpacked.findings if found.kind is kind}
