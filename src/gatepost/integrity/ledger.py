"""The ledger: who put which baseline in force, and who accepted which change, and why; signed and chained.

Pure: text in, values out. Files are kept by `state`.
Raises: `chain.ChainError` for a line that is wrong or out of its place.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gatepost.integrity.chain import START, ChainError, Link, opened, sealed
from gatepost.integrity.entry import Entry, shown
from gatepost.integrity.sign import PublicKey, Signer


class Act(enum.StrEnum):
    """What a record does: puts a BASELINE in force, ACCEPTs how objects are now, or tells what an own apply EXPECTs to change."""

    BASELINE = "baseline"
    ACCEPT = "accept"
    EXPECT = "expect"


@dataclass(frozen=True, slots=True)
class Record:
    """One verified record. `items` has the state of each object by key (None: it is gone); `baseline` the digest put in force."""

    sequence: int
    at: float
    act: Act
    who: str
    why: str
    items: Mapping[bytes, Entry | None] = field(default_factory=dict)
    baseline: str = ""
    contents: Mapping[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All records, and the digest of the last line."""

    records: tuple[Record, ...] = ()
    head: str = START
    digests: tuple[str, ...] = ()

    @property
    def baseline(self) -> str:
        """The digest of the baseline in force, "" when none ever was."""
        return next((r.baseline for r in reversed(self.records) if r.act is Act.BASELINE), "")

    @property
    def accepted(self) -> dict[bytes, Entry | None]:
        """What was accepted since the baseline in force."""
        return {key: entry for record in self._since() for key, entry in record.items.items()}

    @property
    def expected(self) -> dict[bytes, tuple[str, Record]]:
        """Contents (SHA-256 in hex, "" for absence) that own applies announced since the baseline in force."""
        return {key: (content, record) for record in self._since() for key, content in record.contents.items()}

    def _since(self) -> tuple[Record, ...]:
        last = max((n for n, r in enumerate(self.records) if r.act is Act.BASELINE), default=-1)
        return self.records[last + 1 :]


def read(lines: Iterable[bytes], trusted: tuple[PublicKey, ...]) -> Ledger:
    """Verify all lines. Raises ChainError."""
    records: list[Record] = []
    digests: list[str] = []
    head = START
    for number, line in enumerate(lines, 1):
        name = f"line {number} of the ledger"
        link = opened(line, trusted, name)
        if link.record.get("former") != head or link.record.get("sequence") != number:
            raise ChainError(f"{name} does not follow the line before: a line was removed, added or moved")
        records.append(_record(link, name))
        digests.append(link.digest)
        head = link.digest
    return Ledger(tuple(records), head, tuple(digests))


def written(ledger: Ledger, record: Record, signer: Signer) -> bytes:
    """The next line of the ledger; `record.sequence` is set here."""
    return sealed(
        {
            "sequence": len(ledger.records) + 1,
            "former": ledger.head,
            "at": record.at,
            "act": record.act.value,
            "who": record.who,
            "why": record.why,
            "baseline": record.baseline,
            "items": [_item(key, entry) for key, entry in record.items.items()],
            "contents": [{"path": shown(key.replace(b"\0", b"/")), "key": _text(key), "sha256": c} for key, c in record.contents.items()],
        },
        signer,
    )


def _item(key: bytes, entry: Entry | None) -> dict[str, Any]:
    state = _text(msgspec.msgpack.encode(entry)) if entry is not None else None
    return {"path": "/" + shown(key.replace(b"\0", b"/")), "key": _text(key), "state": state}


def _record(link: Link, name: str) -> Record:
    data = link.record
    try:
        return Record(
            int(data["sequence"]),
            float(data["at"]),
            Act(data["act"]),
            str(data["who"]),
            str(data["why"]),
            {_bytes(i["key"]): _entry(i["state"]) for i in data["items"]},
            str(data["baseline"]),
            {_bytes(i["key"]): str(i["sha256"]) for i in data["contents"]},
        )
    except (KeyError, ValueError, TypeError, msgspec.DecodeError) as error:
        raise ChainError(f"{name} is signed but cannot be understood: {error}") from error


def _entry(state: str | None) -> Entry | None:
    return None if state is None else msgspec.msgpack.decode(_bytes(state), type=Entry)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
