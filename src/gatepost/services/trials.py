"""Trying a new set of signatures beside the one in use: it must catch the test file in every wrapping, and pass everyday mail.

Not its job: the samples (`gatepost.mail.inspect.samples`), what happens to the set (`gatepost.signatures`).
Raises: nothing; a set that cannot be tried is a set with something wrong.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from gatepost.mail.inspect import registry
from gatepost.mail.inspect.certify import certify
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.inspect.samples import Sample, samples
from gatepost.mail.pipeline import opened
from gatepost.services import wiring
from gatepost.signatures.update import Trial
from gatepost.site.mail import ANTIVIRUS
from gatepost.site.model import Site

SHOWN = 3
"""So many misses and false alarms are named."""

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

_ENGINES = {"yara": "yara", "hashes": "hashes", "clamav": "libclamav"}
"""The kind of engine that tries each kind of set; ClamAV's library takes what clamd takes."""


def trial(site: Site, kind: str) -> Trial:
    """The trial of sets of this kind at this site."""
    limits = wiring.limits(site)

    def attempt(folder: Path) -> str:
        engine = _ENGINES[kind]
        try:
            made = registry.make(engine, "trial", _options(kind, folder))
        except EngineError as error:
            return f"it cannot be used: {error}"
        certificate = certify(made, lambda raw: opened(raw, limits), (*samples(), *everyday()), antivirus=engine in ANTIVIRUS)
        if certificate.false_alarms:
            return f"it is too broad, and calls harmless mail bad: {_listed(certificate.false_alarms)}"
        return "" if certificate.passed else f"it misses what it must find: {_listed(certificate.missed)}"

    return attempt


def _options(kind: str, folder: Path) -> Mapping[str, object]:
    if kind == "hashes":
        return {"lists": [str(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]}
    return {"rules": [str(folder)]} if kind == "yara" else {"database": str(folder)}


def _listed(found: tuple[tuple[str, str], ...]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(f"{name} ({why})" for name, why in found[:SHOWN]) + more


def everyday() -> Iterator[Sample]:
    """Mail as it comes every day, which nothing may call bad: letters, a picture of one pixel, an empty file."""
    for name, files in {
        "letter": {},
        "letter-with-empty-file": {"empty.txt": b""},
        "letter-with-blank-line": {"blank.txt": b"\r\n"},
        "letter-with-pixel": {"pixel.gif": _PIXEL},
    }.items():
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = "carol@example.org", "bob@example.com", "Meeting on Thursday"
        mail.set_content("Dear Bob,\n\nsee you on Thursday at ten.\n\nhttps://www.example.org/meeting\n")
        mail.add_alternative("<html><body><p>Dear Bob,</p><p>see you <b>on Thursday</b>.</p></body></html>", subtype="html")
        for file, content in files.items():
            mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=file)
        yield Sample(name, infected=False, mail=mail.as_bytes())
