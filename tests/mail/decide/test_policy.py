"""Every set of findings has exactly one disposition, and the defaults never let anything unscanned through."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.decide.policy import DEFAULTS, SEVERITY, Context, Pass, decide, passes
from gatepost.mail.model import Direction, Disposition, Finding, Kind
from gatepost.site.mail import DIRECTIONS, DispositionName, KindName, Policy, Rule, Spam

INBOUND = Context("joe@widget.example", Direction.INBOUND)

findings = st.builds(
    Finding,
    kind=st.sampled_from(Kind),
    name=st.sampled_from(["", "Eicar", "a.exe", "*", "["]),
    score=st.floats(allow_nan=True),
)
rules = st.builds(
    Rule,
    name=st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True),
    directions=st.lists(st.sampled_from(DIRECTIONS), max_size=3).map(tuple),
    zones=st.lists(st.sampled_from(["lan", "dmz"]), max_size=2).map(tuple),
    recipients=st.lists(st.sampled_from(["*@widget.example", "joe@*", "[", "*"]), max_size=2).map(tuple),
    findings=st.lists(st.sampled_from(get_args(KindName)), min_size=1).map(tuple),
    names=st.lists(st.sampled_from(["e*", "*.exe", "["]), max_size=2).map(tuple),
    then=st.sampled_from(get_args(DispositionName)),
)
policies = st.builds(Policy, rules=st.lists(rules, max_size=4).map(tuple))
contexts = st.builds(
    Context,
    recipient=st.sampled_from(["joe@widget.example", "Ann@Else.example", ""]),
    direction=st.sampled_from(Direction),
    zone=st.sampled_from(["", "lan"]),
)


def one(kind: Kind, score: float = 0.0, name: str = "x") -> tuple[Finding, ...]:
    return (Finding(kind, name, score=score),)


def test_the_site_file_and_the_model_name_the_same_things() -> None:
    assert set(get_args(KindName)) == set(Kind)
    assert set(DIRECTIONS) == set(Direction)
    assert set(get_args(DispositionName)) == set(Disposition) == set(SEVERITY)
    assert all(set(DEFAULTS[direction]) == set(Kind) for direction in Direction)


@given(st.lists(findings, max_size=6).map(tuple), contexts, policies)
def test_every_set_of_findings_has_one_disposition_and_a_rule(found, context, policy) -> None:
    decision = decide(found, context, policy)
    assert decision.disposition in Disposition
    assert decision.rule
    assert sorted(map(repr, decision.findings)) == sorted(map(repr, found))
    assert decision == decide(found, context, policy)


@given(st.lists(findings, max_size=5).map(tuple), findings, contexts, policies)
def test_one_more_finding_never_makes_it_milder(found, more, context, policy) -> None:
    before = decide(found, context, policy).disposition
    after = decide((*found, more), context, policy).disposition
    assert SEVERITY.index(after) >= SEVERITY.index(before)


@given(st.lists(findings, max_size=5), contexts, policies, st.randoms())
def test_the_order_of_findings_does_not_matter(found, context, policy, random) -> None:
    shuffled = random.sample(found, len(found))
    assert decide(tuple(found), context, policy).disposition == decide(tuple(shuffled), context, policy).disposition


@given(st.lists(findings, min_size=1, max_size=5).map(tuple), contexts)
def test_by_default_nothing_but_low_spam_is_ever_delivered(found, context) -> None:
    """No scan, no delivery: also with a score that is no number."""
    decision = decide(found, context, Policy())
    delivered = decision.disposition is Disposition.DELIVER
    assert delivered == all(finding.kind is Kind.SPAM and finding.score < 15 for finding in found)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("kind", "disposition"),
    [
        (Kind.VIRUS, Disposition.REJECT),
        (Kind.UNCHECKED, Disposition.TEMPFAIL),
        (Kind.BANNED, Disposition.QUARANTINE),
        (Kind.SUSPECT, Disposition.QUARANTINE),
        (Kind.AMBIGUOUS, Disposition.QUARANTINE),
        (Kind.ENCRYPTED, Disposition.QUARANTINE),
    ],
)
def test_the_safe_defaults(direction, kind, disposition) -> None:
    decision = decide(one(kind), Context("a@b", direction), Policy())
    assert (decision.disposition, decision.rule) == (disposition, f"default.{kind}.{direction}")


def test_clean_mail_is_delivered() -> None:
    assert decide((), INBOUND, Policy()).disposition is Disposition.DELIVER
    assert decide((), INBOUND, Policy()).rule == "clean"


@pytest.mark.parametrize(
    ("score", "disposition", "tag", "rule"),
    [
        (4.9, Disposition.DELIVER, "", "default.spam.below"),
        (5.0, Disposition.DELIVER, "[SPAM] ", "default.spam.tag"),
        (14.9, Disposition.DELIVER, "[SPAM] ", "default.spam.tag"),
        (15.0, Disposition.QUARANTINE, "", "default.spam.inbound"),
        (float("nan"), Disposition.QUARANTINE, "", "default.spam.inbound"),
    ],
)
def test_spam_is_tagged_and_held_by_points(score, disposition, tag, rule) -> None:
    decision = decide(one(Kind.SPAM, score), INBOUND, Policy(spam=Spam(subject="[SPAM] ")))
    assert (decision.disposition, decision.tag, decision.rule) == (disposition, tag, rule)


@pytest.mark.parametrize(
    ("recipient", "score", "disposition"),
    [
        ("sales@widget.example", 14.0, Disposition.DELIVER),
        ("sales@widget.example", 24.0, Disposition.DELIVER),
        ("sales@widget.example", 25.0, Disposition.QUARANTINE),
        ("boss@widget.example", 5.9, Disposition.DELIVER),
        ("boss@widget.example", 6.0, Disposition.QUARANTINE),
        ("boss@widget.example", float("nan"), Disposition.QUARANTINE),
        ("bob@widget.example", 14.0, Disposition.DELIVER),
        ("bob@widget.example", 15.0, Disposition.QUARANTINE),
    ],
)
def test_each_recipient_may_have_levels_of_spam_of_their_own(recipient: str, score: float, disposition: Disposition) -> None:
    levels = (("sales@*", 25.0, "quarantine"), ("sales@*", 0.0, "deliver"), ("boss@*", 6.0, "quarantine"))
    rules = tuple(
        Rule(name=f"r{number}", recipients=(who,), findings=("spam",), points=points, then=then)
        for number, (who, points, then) in enumerate(levels)
    )
    context = Context(recipient, Direction.INBOUND)

    assert decide(one(Kind.SPAM, score), context, Policy(rules=rules)).disposition is disposition


def test_a_virus_that_one_engine_saw_is_refused_though_another_did_not_look() -> None:
    found = (Finding(Kind.UNCHECKED, "icap"), Finding(Kind.VIRUS, "Eicar"))
    decision = decide(found, INBOUND, Policy())
    assert decision.disposition is Disposition.REJECT
    assert decision.findings[0].kind is Kind.VIRUS


def test_spam_and_an_engine_that_did_not_look_is_not_delivered() -> None:
    assert decide((*one(Kind.SPAM, 6), *one(Kind.UNCHECKED)), INBOUND, Policy()).disposition is Disposition.TEMPFAIL


def rule(**fields) -> Policy:
    return Policy(rules=(Rule(**{"name": "mine", "findings": ("banned",), "then": "reject"} | fields),))


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({}, True),
        ({"directions": ("outbound",)}, False),
        ({"zones": ("lan",)}, True),
        ({"zones": ("dmz",)}, False),
        ({"recipients": ("*@WIDGET.example",)}, True),
        ({"recipients": ("ann@*",)}, False),
        ({"names": ("*.EXE",)}, True),
        ({"names": ("*.com",)}, False),
        ({"findings": ("virus",)}, False),
    ],
)
def test_a_rule_matches_where_all_that_it_names_matches(fields, matches) -> None:
    context = Context("Joe@Widget.example", Direction.INBOUND, "lan")
    decision = decide(one(Kind.BANNED, name="Setup.exe"), context, rule(**fields))
    assert (decision.rule == "mine") == matches


def test_the_first_rule_that_matches_counts() -> None:
    policy = Policy(rules=(*rule(then="deliver", name="first", tag="[FILE] ").rules, *rule().rules))
    decision = decide(one(Kind.BANNED), INBOUND, policy)
    assert (decision.rule, decision.tag) == ("first", "[FILE] ")


@given(st.lists(findings, min_size=1, max_size=5).map(tuple), contexts, policies)
def test_a_release_lets_through_exactly_what_was_shown(found, context, policy) -> None:
    shown = decide(found, context, policy)
    released = Context(context.recipient, context.direction, context.zone, passes(shown, context, policy))
    assert decide(found, released, policy).disposition is Disposition.DELIVER


def test_a_new_finding_in_a_released_mail_is_still_stopped() -> None:
    """Signatures that came since then count."""
    released = Context("a@b", Direction.INBOUND, "", frozenset({Pass("default.banned.inbound", Kind.BANNED, "x")}))
    assert decide(one(Kind.BANNED), released, Policy()).rule == "released"
    assert decide((*one(Kind.BANNED), *one(Kind.VIRUS)), released, Policy()).disposition is Disposition.REJECT
    assert decide(one(Kind.BANNED, name="other.exe"), released, Policy()).disposition is Disposition.QUARANTINE


@pytest.mark.parametrize(
    ("finding", "end"),
    [
        (Finding(Kind.UNCHECKED, "limit-depth", source="unpack"), Disposition.QUARANTINE),
        (Finding(Kind.UNCHECKED, "limit-parts", source="parse"), Disposition.QUARANTINE),
        (Finding(Kind.UNCHECKED, "poison", source="gatepost"), Disposition.QUARANTINE),
        (Finding(Kind.UNCHECKED, "engine-size-limit", source="clamav"), Disposition.QUARANTINE),
        (Finding(Kind.UNCHECKED, "engine-timeout", source="clamav"), Disposition.TEMPFAIL),
        (Finding(Kind.UNCHECKED, "scanner-error", source="gatepost"), Disposition.TEMPFAIL),
    ],
)
def test_what_can_never_be_checked_is_held_and_what_may_be_checked_later_comes_again(finding: Finding, end: Disposition) -> None:
    assert decide((finding,), INBOUND, Policy()).disposition is end
