"""The brake takes away only what one signature says alone, and only when its rate has jumped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.decide.policy import UNDONE, Context, decide
from gatepost.mail.inspect.brake import SLOTS, WEEK, Mode, Rate, Rates, alone, ease, has_jumped
from gatepost.mail.model import Direction, Disposition, EngineReport, EngineState, Finding, Kind, Verdict
from gatepost.site.mail import Policy
from gatepost.site.signatures import Brake

RULE = Brake(hits=3, share=0.1)
NOW = 1_790_000_000.0
BAD = ("clamav", "Win.Bad")
OTHER = ("yara", "Win_Bad")
FINDING = st.builds(
    Finding,
    kind=st.sampled_from(Kind),
    name=st.sampled_from(["Win.Bad", "Win_Bad", "Else"]),
    source=st.sampled_from(["clamav", "yara", "unpack"]),
)
MODES = st.dictionaries(st.sampled_from([BAD, OTHER, ("clamav", "Else")]), st.sampled_from(Mode))


def virus(signature: tuple[str, str], kind: Kind = Kind.VIRUS) -> Finding:
    return Finding(kind, signature[1], "2", signature[0])


def end(*findings: Finding, modes: dict[tuple[str, str], Mode]) -> tuple[Disposition, str]:
    eased, undone = ease(findings, modes)
    decision = decide(eased, Context("joe@widget.example", Direction.INBOUND, undone=undone), Policy())
    return decision.disposition, decision.rule


def test_what_a_braked_signature_says_alone_is_held_and_not_refused() -> None:
    assert end(virus(BAD), modes={}) == (Disposition.REJECT, "default.virus.inbound")
    assert end(virus(BAD), modes={BAD: Mode.BRAKED})[0] is Disposition.QUARANTINE
    assert end(virus(BAD), modes={BAD: Mode.TRUSTED})[0] is Disposition.REJECT


def test_what_an_undone_signature_says_alone_is_delivered_and_the_journal_still_names_it() -> None:
    assert end(virus(BAD), modes={BAD: Mode.UNDONE}) == (Disposition.DELIVER, UNDONE)
    eased, _ = ease((virus(BAD),), {BAD: Mode.UNDONE})
    assert (eased[0].name, eased[0].detail) == ("Win.Bad", "virus by a signature that is undone")


def test_an_undone_signature_that_only_suspects_is_delivered_too() -> None:
    assert end(virus(BAD, Kind.SUSPECT), modes={})[0] is Disposition.QUARANTINE
    assert end(virus(BAD, Kind.SUSPECT), modes={BAD: Mode.UNDONE}) == (Disposition.DELIVER, UNDONE)


@given(st.lists(FINDING, max_size=5).map(tuple), MODES)
def test_where_two_engines_call_a_mail_a_virus_nothing_is_taken_away(
    findings: tuple[Finding, ...], modes: dict[tuple[str, str], Mode]
) -> None:
    both = (*findings, virus(BAD), virus(OTHER))

    assert ease(both, modes) == (both, frozenset())
    assert end(*both, modes=modes)[0] is Disposition.REJECT


@given(st.lists(FINDING, max_size=5).map(tuple), MODES)
def test_findings_of_anybody_else_are_never_touched(findings: tuple[Finding, ...], modes: dict[tuple[str, str], Mode]) -> None:
    eased, undone = ease(findings, modes)

    for before, after in zip(findings, eased, strict=True):
        assert before == after or (before.kind is Kind.VIRUS and modes[before.source, before.name] in {Mode.BRAKED, Mode.UNDONE})
    assert {modes[one] for one in undone} <= {Mode.UNDONE}
    stopped = any(one.kind is not Kind.SPAM and (one.source, one.name) not in modes for one in findings)
    assert not stopped or end(*findings, modes=modes)[0] is not Disposition.DELIVER


def verdict(*findings: Finding, clean: tuple[str, ...] = ("yara",)) -> Verdict:
    reports = [EngineReport(name, "1", EngineState.CLEAN if name in clean else EngineState.FOUND) for name in ("clamav", "yara")]
    return Verdict(findings, tuple(reports))


def test_a_signature_stands_alone_only_where_another_antivirus_engine_found_nothing() -> None:
    engines = frozenset({"clamav", "yara"})
    assert alone(verdict(virus(BAD)), engines, {}) == {BAD}
    assert alone(verdict(virus(BAD), clean=()), engines, {}) == frozenset()
    assert alone(verdict(virus(BAD)), frozenset({"clamav"}), {}) == frozenset()
    assert alone(verdict(virus(BAD), virus(OTHER)), engines, {}) == frozenset()
    assert alone(verdict(virus(BAD, Kind.SUSPECT)), engines, {BAD: Mode.BRAKED}) == {BAD}


def filled(hits: int, mails: int, at: float = NOW) -> Rates:
    rates = Rates()
    for number in range(mails):
        rates.add([BAD] if number < hits else [], at, RULE)
    return rates


def test_a_rate_jumps_by_number_share_and_factor_together() -> None:
    assert has_jumped(filled(3, 30).rate(BAD, NOW, RULE), RULE)
    assert not has_jumped(filled(2, 3).rate(BAD, NOW, RULE), RULE)
    assert not has_jumped(filled(3, 31).rate(BAD, NOW, RULE), RULE)
    assert not has_jumped(Rate(30, 30, 3.1), RULE)
    assert not has_jumped(Rate(30, 30, 0), RULE.model_copy(update={"enabled": False}))


def test_a_signature_that_hits_as_always_does_not_jump() -> None:
    rates = Rates()
    for hour in range(7 * 24):
        for _ in range(4):
            rates.add([BAD], NOW + hour * 3600, RULE)

    rate = rates.rate(BAD, NOW + (7 * 24 - 1) * 3600, RULE)

    assert (rate.hits, round(rate.usual)) == (4, 4)
    assert not has_jumped(rate, RULE)


def test_hits_leave_the_window_and_after_a_week_the_memory() -> None:
    rates = filled(5, 5)
    assert rates.rate(BAD, NOW + RULE.window * (SLOTS + 1) / SLOTS, RULE).hits == 0
    rates.add([], NOW + WEEK + 2 * RULE.window, RULE)
    assert rates.signatures() == []
