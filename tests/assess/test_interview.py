"""The interview: every question of the paper is there, answers are understood or refused, and paper and file keep them."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.assess import form, interview, store
from gatepost.assess.catalogue import asked_of, question, questions, short_way
from gatepost.assess.interview import AnswerError
from gatepost.assess.model import Assessment, Audience, Noted, Sheet
from gatepost.assess.words import GERMAN

WIDGET = Path(__file__).resolve().parent.parent.parent / "examples/widget/interview.txt"
ROWS = ("P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P11", "P14", "P20")


@pytest.fixture(scope="module")
def widget() -> Assessment:
    return interview.entered(Assessment(), WIDGET.read_text())[0]


@pytest.mark.parametrize("row", ROWS)
def test_every_requirement_about_people_has_its_questions(row: str) -> None:
    assert [one for one in questions() if row in one.rows]


def test_the_four_questions_of_the_paper_are_asked_of_those_who_know() -> None:
    sections = {audience: {one.section for one in asked_of(audience)} for audience in Audience}

    assert "Working with the computer" in sections[Audience.EMPLOYEES]
    assert {"What you need"} <= sections[Audience.EMPLOYEES]
    assert {"Physical security", "Privileges", "Services"} <= sections[Audience.IT]
    assert {"Assets", "Threats"} <= sections[Audience.MANAGERS]
    assert sections[Audience.HR]


def test_questions_have_both_languages_and_one_id_each_and_conditions_that_exist() -> None:
    assert len({one.id for one in questions()}) == len(questions())
    for one in questions():
        assert all((one.text, one.de, one.why, one.why_de)), one.id
        assert one.text != one.de
        assert one.section in GERMAN
        assert (one.form == "choice") == bool(one.choices)
        assert (one.form == "table") == bool(one.columns)
        assert one.only_if is None or question(one.only_if[0])


def test_twelve_answers_are_the_short_way() -> None:
    assert len(short_way()) == 12


@pytest.mark.parametrize(
    ("name", "given", "stored"),
    [
        ("server-room", "Ja", "yes"),
        ("server-room", " n ", "no"),
        ("updates", "2", "by-hand"),
        ("updates", "von Hand, ab und zu", "by-hand"),
        ("relay", "192.168.2.3, 2001:DB8:0::3", "192.168.2.3 2001:db8::3"),
        ("internet", "eth0  203.0.113.1", "eth0 203.0.113.1"),
        ("services-network", "eth1 192.168.2.1/24", "eth1 192.168.2.1/24"),
        ("domains", "Widget.Example", "widget.example"),
        ("responsible", "Anna <anna@Widget.example>", "anna@widget.example"),
        ("company", "  Company   Widget ", "Company Widget"),
    ],
)
def test_an_answer_is_stored_in_one_form(name: str, given: str, stored: str) -> None:
    assert interview.answered(Assessment(), name, given).answers == {name: stored}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("server-room", "perhaps"),
        ("updates", "4"),
        ("relay", "relay.widget.example"),
        ("internet", "203.0.113.1"),
        ("internet", "eth0"),
        ("services-network", "eth1 192.168.2.1"),
        ("domains", "not a domain!"),
        ("responsible", "anna"),
        ("services-needed", "https | internal"),
        ("services-needed", "a | b | c | d | e | f | g"),
        ("services-needed", "https | internal | internet | for work | boss | soon"),
        ("data", "drawings | server1 | priceless"),
        ("no-such-question", "x"),
        ("e-files", "1"),
    ],
)
def test_what_cannot_be_an_answer_is_refused(name: str, given: str) -> None:
    with pytest.raises((AnswerError, form.FormError)):
        interview.answered(Assessment(), name, given)


def test_an_empty_answer_takes_the_former_away() -> None:
    first = interview.answered(Assessment(), "company", "Widget")

    assert interview.answered(first, "company", "  ").answers == {}


def test_progress_counts_only_questions_that_apply() -> None:
    without = interview.progress(Assessment(), Audience.IT)
    found = interview.answered(Assessment(), "predecessor", "yes")

    assert interview.progress(found, Audience.IT).asked == without.asked + 1
    assert interview.progress(found, Audience.IT).answered == 1


def test_the_interview_of_the_demo_company_is_complete(widget) -> None:
    assert interview.left(widget) == ()
    assert len(widget.sheets) == 5


def test_the_file_gives_back_what_was_put_in(widget, tmp_path) -> None:
    noted = Noted(found=dt.date(2026, 11, 1), owner="anna", due=dt.date(2026, 12, 1), accepted_by="boss", accepted_why='"why"\nnot')
    whole = Assessment(widget.answers, widget.sheets, {"single-point": noted})
    store.save(tmp_path / "a.toml", whole)

    assert store.load(tmp_path / "a.toml") == whole
    assert store.load(tmp_path / "none.toml") == Assessment()


@given(st.dictionaries(st.sampled_from(["company", "help", "reset"]), st.text(min_size=1)), st.text())
def test_any_text_survives_the_file(answers: dict[str, str], who: str) -> None:
    whole = Assessment(answers, (Sheet(who, {"e-strange": who}),))

    assert form.read(form.written(whole)) == whole


@given(st.text())
def test_any_text_is_an_assessment_or_an_error_of_its_own(text: str) -> None:
    for read in (form.read, lambda given: interview.entered(Assessment(), given)):
        with contextlib.suppress(form.FormError, AnswerError):
            read(text)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_printed_form_can_be_filled_in_and_typed_in(language: str, ending: str) -> None:
    text = form.printed(questions(), language)
    for one in questions():
        assert f"[{one.id}] {one.words(language)[0]}" in text
    filled = text.replace("\n", ending).replace("[company]", f"[company]{ending}> Widget {ending}[x-unused]", 1)

    with pytest.raises(AnswerError, match="x-unused"):
        interview.entered(Assessment(), filled + f"[x-unused]{ending}> x{ending}")
    assert interview.entered(Assessment(), filled)[0].answers == {"company": "Widget"}


def test_an_answer_before_any_question_is_an_error_with_its_line() -> None:
    with pytest.raises(form.FormError, match="line 2"):
        interview.entered(Assessment(), "words\n> Widget\n")
