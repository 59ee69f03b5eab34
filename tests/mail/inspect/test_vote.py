"""What several engines' answers mean together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.inspect.runner import Outcome, Role
from gatepost.mail.inspect.vote import combine
from gatepost.mail.model import EngineState, Finding, Kind

CLEAN = Outcome(EngineState.CLEAN)
VIRUS = Outcome(EngineState.FOUND, (Finding(Kind.VIRUS, "V", "1", "e"),))
FAILED = Outcome(EngineState.FAILED, (Finding(Kind.UNCHECKED, "engine-failed", "", "e"),))
OUTCOMES = {"clean": CLEAN, "virus": VIRUS, "failed": FAILED}


@pytest.mark.parametrize(
    ("quorum", "answers", "expected"),
    [
        # The whole matrix of disagreement of three engines, up to order.
        (1, "clean clean clean", ""),
        (1, "virus clean clean", "virus"),
        (1, "virus failed clean", "unchecked virus"),
        (1, "failed clean clean", "unchecked"),
        (2, "clean clean clean", ""),
        (2, "virus clean clean", "suspect"),
        (2, "virus virus clean", "virus"),
        (2, "virus virus virus", "virus"),
        (2, "virus failed clean", "suspect unchecked"),
        (2, "virus virus failed", "unchecked virus"),
        (2, "failed clean clean", ""),
        (2, "failed failed clean", "unchecked"),
        (2, "failed failed failed", "unchecked"),
        (3, "virus virus clean", "suspect"),
        (3, "virus virus failed", "suspect unchecked"),
        (3, "failed failed clean", ""),
    ],
)
def test_votes_of_a_quorum(quorum: int, answers: str, expected: str):
    """A failed engine counts as the vote it might have cast; what is outvoted stays as a suspicion."""
    findings = combine([(Role.QUORUM, OUTCOMES[answer]) for answer in answers.split()], quorum)

    assert " ".join(sorted({finding.kind for finding in findings})) == expected


def test_an_advisory_engine_only_hints():
    """Its virus is a suspicion that says why, its failure holds nothing, its spam score stands."""
    spam = Outcome(EngineState.FOUND, (Finding(Kind.SPAM, "S", score=7.0),))
    (hint,) = combine([(Role.ADVISORY, VIRUS)], 1)

    assert (hint.kind, hint.name, hint.part) == (Kind.SUSPECT, "V", "1")
    assert "advisory" in hint.detail
    assert combine([(Role.ADVISORY, FAILED)], 1) == ()
    assert combine([(Role.ADVISORY, spam)], 1) == spam.findings


@given(st.lists(st.tuples(st.sampled_from(Role), st.sampled_from(sorted(OUTCOMES))), max_size=6), st.integers(1, 4))
def test_a_required_engine_is_never_outvoted(answers: list[tuple[Role, str]], quorum: int):
    """Whatever others say, a required engine's virus and failure stand."""
    kinds = {finding.kind for finding in combine([(role, OUTCOMES[answer]) for role, answer in answers], quorum)}

    if (Role.REQUIRED, "virus") in answers:
        assert Kind.VIRUS in kinds
    if (Role.REQUIRED, "failed") in answers:
        assert Kind.UNCHECKED in kinds


@given(st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, max_size=6), st.integers(1, 4))
def test_one_more_virus_never_makes_a_mail_cleaner(answers: list[str], quorum: int):
    """Turning a clean answer into a virus never takes a finding away."""
    before = combine([(Role.QUORUM, OUTCOMES[answer]) for answer in answers], quorum)
    after = combine([(Role.QUORUM, OUTCOMES[answer]) for answer in [*answers, "virus"]], quorum)

    assert len(after) >= len(before)
