"""Risks: what answers show, who deals with it until when, what is accepted, and what a change would bring."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.assess import interview, risks, score
from gatepost.assess.incident import LONGEST, EmptyReportError, data, incident
from gatepost.assess.known import RISKS
from gatepost.assess.model import Assessment, Noted, Sheet
from gatepost.assess.risks import CHANGES, State

TODAY = dt.date(2026, 11, 23)
WIDGET = Path(__file__).resolve().parent.parent.parent / "examples/widget/interview.txt"


@pytest.fixture(scope="module")
def widget() -> Assessment:
    return interview.entered(Assessment(), WIDGET.read_text())[0]


def found(assessment: Assessment, today: dt.date = TODAY) -> dict[str, risks.Risk]:
    return {risk.id: risk for risk in risks.register(assessment, today)}


def sheet(points: int, **more: str) -> Sheet:
    return Sheet("", dict.fromkeys(score.LITERACY, str(points)) | {name.replace("_", "-"): value for name, value in more.items()})


def test_every_risk_has_words_numbers_in_range_and_an_id_of_its_own() -> None:
    assert len({known.id for known in RISKS}) == len(RISKS)
    for known in RISKS:
        assert known.likelihood in range(1, 6)
        assert known.impact in range(1, 6)
        assert known.phase in risks.PHASES
        assert known.why
        assert known.measure


@pytest.mark.parametrize(
    ("points", "level", "duties"), [((0, 1), "low", False), ((1, 2), "middle", True), ((3, 3), "high", True), ((), "unknown", False)]
)
def test_literacy_decides_who_gets_duties(points, level, duties) -> None:
    literacy = score.literacy([sheet(one) for one in points])

    assert (literacy.level, literacy.duties) == (level, duties)


def test_the_machine_with_five_roles_is_a_single_point_of_failure_and_the_spare_is_not(widget) -> None:
    (alone,) = score.alone(widget)

    assert alone.machine == "server1"
    assert alone.duties == ("DHCP", "DNS", "mail", "print", "files")
    assert "drawings of customers" in alone.data
    assert found(widget)["single-point"].details[0].startswith("server1: DHCP, DNS, mail, print, files")


def test_a_right_or_key_without_reason_is_a_finding_that_names_the_person(widget) -> None:
    assert found(widget)["root-without-reason"].details == ("Carol: server1",)
    assert found(widget)["keys-without-reason"].details == ("the cleaning company: server room",)


def test_key_codes_that_were_passed_on_have_severity_owner_and_a_date_after_which_they_are_overdue(widget) -> None:
    seen = risks.seen(widget, TODAY)
    risk = found(seen)["key-codes"]

    assert (risk.weight, risk.owner) == ("middle", "anna@widget.example")
    assert "3 of 5 employees" in risk.details
    assert not risk.overdue(TODAY)
    assert found(seen, risk.due + dt.timedelta(1))["key-codes"].overdue(risk.due + dt.timedelta(1))


def test_the_due_date_stays_where_it_was_first_seen(widget) -> None:
    seen = risks.seen(widget, TODAY)

    assert found(seen, TODAY + dt.timedelta(100))["leftovers"].due == found(seen)["leftovers"].due


def test_hosting_our_own_mail_adds_and_removes_risks(widget) -> None:
    effect = risks.effect(widget, CHANGES[0], TODAY)

    assert {risk.id for risk in effect.added} == {"own-mail", "fixed-address"}
    assert {risk.id for risk in effect.removed} == {"provider-mail"}


def test_obscurity_is_no_control_and_one_program_in_two_layers_is_a_finding(widget) -> None:
    same = replace(widget, answers={**widget.answers, "mta-server": "postfix"})

    assert "no control" in found(widget)["obscurity"].known.why
    assert "same-mta" not in found(widget)
    assert found(same)["same-mta"].details == ("both run postfix",)


def test_an_acceptance_ends_with_its_date_and_what_is_done_stays_done(widget) -> None:
    accepted = risks.noted(widget, "line", Noted(accepted_by="boss", accepted_until=TODAY, accepted_why="new line in March"))
    done = risks.noted(widget, "line", Noted(done=TODAY))

    assert found(accepted)["line"].state is State.ACCEPTED
    assert found(accepted, TODAY + dt.timedelta(1))["line"].state is State.OPEN
    assert found(done)["line"].state is State.DONE


def test_every_open_risk_has_its_place_in_one_phase_of_the_plan(widget) -> None:
    register = risks.register(risks.noted(widget, "line", Noted(accepted_by="boss")), TODAY)
    planned = [risk.id for phase in risks.plan(register) for risk in (*phase.done, *phase.to_do, *phase.deferred)]

    assert sorted(planned) == sorted(risk.id for risk in register)
    assert [risk.id for phase in risks.plan(register) for risk in phase.deferred] == ["line"]


def test_an_unfinished_interview_is_itself_a_risk() -> None:
    assert "not-asked" in found(Assessment())
    assert "no employee was asked" in found(Assessment())["not-asked"].details


def test_employees_who_do_not_scan_are_a_risk_only_when_they_are_many() -> None:
    many, few = ([sheet(3, e_last_scan="older")] * one + [sheet(3, e_last_scan="week")] * other for one, other in ((2, 2), (1, 9)))

    assert "endpoints" in found(Assessment({}, tuple(many)))
    assert "endpoints" not in found(Assessment({}, tuple(few)))


def test_what_employees_tell_is_kept_in_plain_lines() -> None:
    told = incident("nonsense", "a man\x1b[2J asked\r\nfor the key " + "x" * 5000, " Dave ")

    assert told.kind == "other"
    assert "\x1b" not in told.text
    assert len(told.text) == LONGEST
    assert data(told)["who"] == "Dave"
    with pytest.raises(EmptyReportError):
        incident("mail", " \n ")
