"""Techniques of our own, none of them in the developers' suite: each evasive mail is caught or held, each honest one passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatepost.mail.decide.policy import Context, decide
from gatepost.mail.model import Direction, Disposition, Envelope, Kind, Verdict
from gatepost.services import wiring
from gatepost.site.model import Site
from tests.support.evasive import files, formats, honest, scripts, structure
from tests.support.evasive.craft import Case

EVASIVE = [*structure.cases(), *files.cases(), *formats.cases(), *scripts.cases()]
HONEST = honest.cases()
STRANGER = Envelope("", ())


@pytest.fixture(scope="module")
def site() -> Site:
    return Site.model_validate({"site": {"name": "test"}, "mail": {"domains": ["example.org"], "next_hop": "127.0.0.1"}})


@pytest.fixture(scope="module")
def look(site: Site) -> Callable[[bytes], Verdict]:
    work = wiring.examination(site)
    return lambda raw: work(raw, STRANGER, frozenset({Direction.INBOUND}))


def delivered(verdict: Verdict, site: Site) -> bool:
    return decide(verdict.findings, Context("", Direction.INBOUND), site.policy).disposition is Disposition.DELIVER


def test_there_are_enough_of_both() -> None:
    assert len(EVASIVE) >= 100
    assert len(HONEST) >= 40
    assert len({case.name for case in (*EVASIVE, *HONEST)}) == len(EVASIVE) + len(HONEST)


@pytest.mark.parametrize("case", EVASIVE, ids=lambda case: case.name)
def test_an_evasive_mail_is_caught_or_held(case: Case, look: Callable[[bytes], Verdict], site: Site) -> None:
    verdict = look(case.mail)

    assert not delivered(verdict, site)
    if case.seen:
        assert Kind.VIRUS in {finding.kind for finding in verdict.findings}


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_an_honest_mail_passes(case: Case, look: Callable[[bytes], Verdict], site: Site) -> None:
    verdict = look(case.mail)

    assert delivered(verdict, site), verdict.findings
