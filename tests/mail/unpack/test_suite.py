"""The developers' suite of evasions: each case gives its payload or a finding, and ordinary mail gives no finding."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

import pytest
from tests.support.eicar import EICAR

from gatepost.mail.model import Budget, Limits
from gatepost.mail.parse import read
from gatepost.mail.unpack import Unpacked, walk
from gatepost.mail.unpack.passwords import candidates

FAMILIES = ["zip_tricks", "archives", "encrypted", "documents", "benign"]


def _unpacked(raw: bytes) -> Unpacked:
    budget = Budget(Limits(), time.process_time, time.monotonic)
    reading = read(raw, budget)
    texts = [str(part.data[:50_000], "utf-8", "replace") for part in reading.parts if part.declared.startswith("text/")]
    names = [name for part in reading.parts for name in part.names]
    return walk(reading.parts, budget, read, candidates(texts, reading.headers.subject, names))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_case_of_a_family_slips_past(shared: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(shared))
    cases = importlib.import_module(f"evasion.families.{family}").cases()
    assert cases
    wrong = []
    for case in cases:
        found = _unpacked(case.raw)
        payload = any(EICAR in bytes(part.data) for part in found.parts)
        right = not found.findings if case.expected == "clean" else payload or (case.expected == "blocked" and found.findings)
        if not right:
            wrong.append(case.name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "evasion"]:
        del sys.modules[name]
    assert wrong == []
