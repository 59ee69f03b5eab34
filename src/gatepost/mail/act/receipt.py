"""The scan receipt: a signed header that says who looked at a mail, with what, and what came out.

What it does: writes and verifies `X-Gatepost-Scan`, takes out forged fields of our name, tags spam.
Not its job: the journal event (`record`), releasing (`release`).
Raises: `ReceiptError` for a receipt that does not hold.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatepost.mail.model import Decision, EngineReport, HeaderEdit, Kind, Traces, Verdict

FIELD = "X-Gatepost-Scan"
SPAM_FIELD = "X-Gatepost-Spam"
OURS = "x-gatepost-"

LONGEST = 900
"""Characters of a receipt before its signature: with it the field stays within one line of RFC 5322 2.1.1 (998)."""

_WORD = re.compile(r"[^A-Za-z0-9._:+/@-]+")
_SIGNATURE = "; signature="


class ReceiptError(Exception):
    """The receipt was not written by this site, or was changed."""


def signing_key(secret: bytes) -> Ed25519PrivateKey:
    """The site's signing key from its 32 secret bytes (RFC 8032)."""
    return Ed25519PrivateKey.from_private_bytes(secret)


def receipt(
    identifier: str, at: float, verdict: Verdict, decisions: Sequence[Decision], key: Ed25519PrivateKey, cleaned: Traces | None = None
) -> HeaderEdit:
    """The receipt of a mail that is delivered: id, time, rules, digest of the mail as it came in, engines with versions and signatures.

    One that goes on cleaned has the digest of what goes on too, and the id under which the original is kept.
    """
    rules = ",".join(sorted({_word(decision.rule) for decision in decisions}))
    engines = ",".join(_engine(report) for report in verdict.engines)
    replaced = f"; cleaned={cleaned.digest}; original={identifier}" if cleaned else ""
    body = f"id={identifier}; at={int(at)}; rules={rules}; sha256={verdict.digest}{replaced}; engines={engines}"[:LONGEST]
    return HeaderEdit(FIELD, body + _SIGNATURE + base64.b64encode(key.sign(body.encode())).decode())


def _engine(report: EngineReport) -> str:
    age = f"@{_word(report.signatures)}" if report.signatures else ""
    certified = f"~{_word(report.certificate)}" if report.certificate else ""
    return f"{_word(report.name)}/{_word(report.version)}{age}{certified}:{report.state}"


@lru_cache(1024)
def _word(text: str) -> str:
    """A name that cannot be taken for anything else in the header."""
    return _WORD.sub("_", text)[:60]


def verify_receipt(value: str, key: Ed25519PublicKey) -> dict[str, str]:
    """What a receipt says, if this site wrote it; folding on the way does no harm."""
    body, _, signature = re.sub(r"\s+", " ", value).strip().rpartition(_SIGNATURE)
    try:
        key.verify(base64.b64decode(signature.replace(" ", ""), validate=True), body.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        raise ReceiptError("this receipt was not written by this site, or was changed") from None
    return dict(field.split("=", 1) for field in body.split("; "))


def strip_forged(names: Iterable[str]) -> tuple[HeaderEdit, ...]:
    """Deletions of all fields that only we may write, given all field names of a mail in order.

    The last comes first, so that it does not matter whether the MTA counts again after each deletion.
    """
    seen: Counter[str] = Counter()
    edits = []
    for name in names:
        bare = name.strip()
        if bare.lower().startswith(OURS):
            seen[bare.lower()] += 1
            edits.append(HeaderEdit(bare, None, seen[bare.lower()]))
    return tuple(reversed(edits))


def spam_header(decisions: Sequence[Decision]) -> tuple[HeaderEdit, ...]:
    """The spam field of a mail that is delivered with points: the highest score counts, as in the policy."""
    scores = [finding.score for decision in decisions for finding in decision.findings if finding.kind is Kind.SPAM]
    return (HeaderEdit(SPAM_FIELD, f"score={max(scores):.1f}"),) if scores else ()


def subject_tag(decisions: Sequence[Decision], subject: str | None) -> tuple[HeaderEdit, ...]:
    """Put the first tag that a delivered recipient's policy asks for before the subject.

    `subject` is the raw value of the only Subject field, None when there is none. One mail has one subject: all recipients see the tag.
    """
    tag = next((decision.tag for decision in decisions if decision.tag), "")
    if not tag or (subject or "").lstrip().startswith(tag):
        return ()
    deletion = () if subject is None else (HeaderEdit("Subject"),)
    return (*deletion, HeaderEdit("Subject", f"{tag}{(subject or '').lstrip()}"))
