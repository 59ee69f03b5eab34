"""The risk interview in the browser: the questions of each group of people, and the sheets of employees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.responses import Response

from gatepost.assess import store
from gatepost.assess.catalogue import asked_of, question
from gatepost.assess.form import FormError
from gatepost.assess.interview import AnswerError, answered, asked, progress, sheet
from gatepost.assess.model import Answer, Assessment, Audience, Question
from gatepost.console.rights import Right
from gatepost.console.visit import Refused, Visit

SHORT = "short"
"""The questions that are enough for a first proposal."""
GROUPS = (SHORT, *Audience)
BLANK = 2
"""Empty rows at the end of a table."""
MOST_ROWS = 200
LONGEST = 4000

_ONE_AT_A_TIME = threading.Lock()


def path_of(visit: Visit) -> Path:
    """Where the answers are kept."""
    return store.path_in(Path(visit.console.site.site.state))


def load(visit: Visit) -> Assessment:
    """What was answered until now."""
    try:
        return store.load(path_of(visit))
    except FormError as error:
        raise Refused(409, f"{path_of(visit)}: {error}") from None
    except OSError as error:
        raise Refused(409, f"{error.filename}: {error.strerror}") from None


def begun(visit: Visit) -> Assessment:
    """What was answered, when anything was."""
    found = load(visit)
    if not found.answers:
        raise Refused(404, visit.words("The interview was not begun yet; documents about it come after it."))
    return found


def change(visit: Visit, made: Callable[[Assessment], Assessment]) -> None:
    """Change the answers, one person at a time."""
    with _ONE_AT_A_TIME:
        now = load(visit)
        try:
            store.save(path_of(visit), made(now))
        except OSError as error:
            raise Refused(409, f"{error.filename}: {error.strerror}") from None


def show(visit: Visit) -> Response:
    """The questions of one group."""
    return _page(visit, _group(visit.asked("group") or SHORT))


def _group(name: str) -> str:
    if name not in GROUPS:
        raise Refused(404, "There is no such group of people.")
    return name


def _questions(assessment: Assessment, group: str) -> tuple[Question, ...]:
    if group == Audience.EMPLOYEES:
        return asked_of(Audience.EMPLOYEES)
    return asked(assessment, short=True) if group == SHORT else asked(assessment, Audience(group))


def _page(visit: Visit, group: str, wrong: dict[str, str] | None = None, typed: dict[str, Answer] | None = None) -> Response:
    assessment = load(visit)
    answers = {} if group == Audience.EMPLOYEES else dict(assessment.answers)
    return visit.page(
        "interview.html",
        400 if wrong else 200,
        group=group,
        groups=[(name, _progress(assessment, name)) for name in GROUPS],
        questions=_questions(assessment, group),
        answers=answers | (typed or {}),
        sheets=len(assessment.sheets),
        wrong=wrong or {},
        blank=BLANK,
        saved=bool(visit.asked("saved")),
        may_answer=visit.may(Right.ANSWER),
    )


def _progress(assessment: Assessment, group: str) -> tuple[int, int]:
    if group == Audience.EMPLOYEES:
        return len(assessment.sheets), len(assessment.sheets)
    found = progress(assessment, short=True) if group == SHORT else progress(assessment, Audience(group))
    return found.answered, found.asked


def answer(visit: Visit) -> Response:
    """Keep what was filled in; what cannot be an answer is said beside its question, and the rest is kept."""
    group = _group(visit.sent("group"))
    if group == Audience.EMPLOYEES:
        return _sheet(visit)
    wrong: dict[str, str] = {}
    typed = {one.id: _typed(visit, one) for one in _questions(load(visit), group) if f"q:{one.id}" in visit.form}
    change(visit, lambda now: _answered(now, typed, wrong))
    visit.console.accounts.note(visit.user.name, visit.client, "answered the interview", group)
    if wrong:
        return _page(visit, group, wrong, {name: given for name, given in typed.items() if name in wrong})
    return visit.go("/interview", group=group, saved="1")


def _answered(assessment: Assessment, typed: dict[str, Answer], wrong: dict[str, str]) -> Assessment:
    for name, given in typed.items():
        try:
            assessment = answered(assessment, name, given)
        except (AnswerError, FormError) as error:
            wrong[name] = str(error)
    return assessment


def _typed(visit: Visit, asked_for: Question) -> Answer:
    """What stands in the fields of one question."""
    if asked_for.form != "table":
        return visit.sent(f"q:{asked_for.id}")[:LONGEST]
    rows = []
    for number in range(min(len(visit.all_sent(f"q:{asked_for.id}")), MOST_ROWS)):
        row = {column.key: visit.sent(f"{asked_for.id}:{number}:{column.key}")[:LONGEST].strip() for column in asked_for.columns}
        if any(row.values()):
            rows.append({key: value for key, value in row.items() if value})
    return tuple(rows)


def _sheet(visit: Visit) -> Response:
    """One more employee's sheet."""
    given = {one.id: visit.sent(f"q:{one.id}")[:LONGEST] for one in asked_of(Audience.EMPLOYEES)}
    try:
        made = sheet(visit.sent("who")[:LONGEST], given)
    except AnswerError as error:
        name = next((one for one in given if str(error).startswith(f"{one}:")), "")
        return _page(visit, Audience.EMPLOYEES, {name: str(error)}, dict(given))
    if not made.answers:
        raise Refused(400, visit.words("Nothing was filled in."))
    change(visit, lambda now: Assessment(now.answers, (*now.sheets, made), now.noted))
    visit.console.accounts.note(visit.user.name, visit.client, "answered the interview", Audience.EMPLOYEES)
    return visit.go("/interview", group=Audience.EMPLOYEES, saved="1")


def answers(visit: Visit) -> dict[str, Any]:
    """Every question with its answer, for programs; sheets are counted, not shown, since people filled them in for themselves."""
    assessment = load(visit)
    rows = [
        {"id": one.id, "group": str(one.audience), "question": one.text, "why": one.why, "answer": assessment.answers.get(one.id, "")}
        for group in Audience
        for one in _questions(assessment, group)
    ]
    return {"questions": rows, "sheets": len(assessment.sheets)}


def answer_one(visit: Visit) -> dict[str, Any]:
    """Keep one answer; a table is a line a row, with "|" between its cells."""
    name = visit.sent("question")
    if question(name) is None:
        raise Refused(404, "There is no such question.")
    try:
        change(visit, lambda now: answered(now, name, visit.sent("answer")))
    except (AnswerError, FormError) as error:
        raise Refused(400, str(error)) from None
    visit.console.accounts.note(visit.user.name, visit.client, "answered the interview", name)
    return {"done": "answer", "question": name}
