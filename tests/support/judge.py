"""The one judgement of every fault test: what senders were promised, against what arrived.

Two ledgers are compared: `Sent` holds every answer a sender got, the sink every mail it took. A mail counts as scanned only when its
receipt holds, was written for these very bytes, and says of each demanded engine that it looked and found nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost.mail.act.contents import ContentError, Contents
from gatepost.mail.act.receipt import ReceiptError, verify_receipt
from gatepost.services import keys
from tests.support.sink import Delivered

NO_ANSWER = 0
"""The connection broke before the answer: the sender does not know and sends again."""

_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE)
_RECEIPT = re.compile(rb"^X-Gatepost-Scan: ((?:.*\n)(?:[ \t].*\n)*)", re.MULTILINE)


@dataclass
class Sent:
    """A mail to one recipient, with the code of each attempt to send it, and the words of the last."""

    identifier: str
    recipient: str
    content: bytes
    harmful: bool = False
    answers: list[int] = field(default_factory=list)
    said: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def promised(self) -> bool:
        return any(code // 100 == 2 for code in self.answers)

    @property
    def settled(self) -> bool:
        return any(code // 100 in {2, 5} for code in self.answers)

    @property
    def chances(self) -> int:
        """How often it may have been taken: each promise, and each attempt whose answer was never heard."""
        return sum(code // 100 == 2 or code == NO_ANSWER for code in self.answers)


@dataclass(frozen=True)
class Evidence:
    """What the judge believes: the key of the receipts, engines that must have looked, digests of kept mails that can be read back."""

    key: Ed25519PublicKey
    engines: tuple[str, ...]
    held: frozenset[str] = frozenset()

    @classmethod
    def of(cls, state: Path, engines: Sequence[str]) -> Evidence:
        """Take it from the folder of a gateway; what is in quarantine but cannot be given back is not held."""
        folder = state / "keys"
        contents = Contents(state / "quarantine", keys.secret(folder, "quarantine"))
        held = frozenset(digest for digest, _, _ in contents.entries() if _whole(contents, digest))
        return cls(keys.public_receipts(folder), tuple(engines), held)


def _whole(contents: Contents, digest: str) -> bool:
    try:
        contents.get(digest)
    except ContentError:
        return False
    return True


@dataclass(frozen=True)
class Judgement:
    """Identifiers of mails that went wrong in each way; all empty is what is demanded."""

    lost: tuple[str, ...] = ()
    unscanned: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    ghost: tuple[str, ...] = ()


SOUND = Judgement()


def judge(sent: Iterable[Sent], delivered: Sequence[Delivered], evidence: Evidence) -> Judgement:
    """Compare both ledgers.

    lost: promised, but neither delivered nor held. unscanned: delivered though harmful, or without a receipt that holds. twice: delivered
    more often than its sender can explain. ghost: delivered though every answer was a refusal, or never sent at all.
    """
    ledger = {(one.identifier, one.recipient): one for one in sent}
    arrived = Counter((identifier_of(one.content), recipient) for one in delivered for recipient in one.recipients)
    unscanned = {
        identifier_of(one.content)
        for one in delivered
        if not all(_is_scanned(ledger.get((identifier_of(one.content), who)), one, evidence) for who in one.recipients)
    }
    return Judgement(
        lost=_names(key for key, one in ledger.items() if one.promised and not arrived[key] and one.digest not in evidence.held),
        unscanned=tuple(sorted(unscanned)),
        twice=_names(key for key, count in arrived.items() if key in ledger and count > max(1, ledger[key].chances)),
        ghost=_names(key for key in arrived if key not in ledger or not ledger[key].chances),
    )


def _names(keys: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(identifier for identifier, _ in keys))


def identifier_of(content: bytes) -> str:
    """The left side of the Message-ID; "" without one."""
    found = _ID.search(content)
    return found[1].decode() if found else ""


def _is_scanned(sent: Sent | None, delivered: Delivered, evidence: Evidence) -> bool:
    if sent is None or sent.harmful:
        return False
    receipts = _RECEIPT.findall(delivered.content)
    if len(receipts) != 1:
        return False
    try:
        said = verify_receipt(receipts[0].decode(), evidence.key)
    except ReceiptError:
        return False
    looked = {name.partition("/")[0] for name in said["engines"].split(",") if name.endswith(":clean")}
    return said["sha256"] == sent.digest and looked.issuperset(evidence.engines)
