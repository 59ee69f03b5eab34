"""A certificate stands on the report of the engine that has it, for as long as the engine is what was tried."""

from __future__ import annotations

import pytest

from gatepost.journal.event import Event
from gatepost.mail.model import EngineReport, EngineState, Verdict
from gatepost.services.certificates import CERTIFIED, Certificates

GIVEN = {"engine": "yara", "version": "1.2", "signatures": "2026-11-23", "id": "c0ffee", "passed": True}


def certificate(report: EngineReport, *certified: dict[str, object]) -> str:
    known = Certificates(Event(1.0, CERTIFIED, "yara", one) for one in certified)
    (shown,) = known.put(Verdict((), (report,))).engines
    return shown.certificate


LOOKED = EngineReport("yara", "1.2", EngineState.CLEAN, 0.1, "2026-11-23")


def test_a_certified_engine_has_its_certificate_on_each_report() -> None:
    assert certificate(LOOKED, GIVEN) == "c0ffee"


@pytest.mark.parametrize(
    "change",
    [{"version": "1.3"}, {"signatures": "2026-11-24"}, {"engine": "clamav"}, {"passed": False}],
    ids=lambda change: next(iter(change)),
)
def test_another_version_other_signatures_another_engine_or_a_failure_are_not_certified(change: dict[str, object]) -> None:
    assert certificate(LOOKED, GIVEN | change) == ""


def test_the_last_certificate_counts() -> None:
    assert certificate(LOOKED, GIVEN, GIVEN | {"id": "newer"}) == "newer"
    assert certificate(LOOKED, GIVEN, GIVEN | {"passed": False}) == ""
