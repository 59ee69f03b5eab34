"""The texts of an interview: the file that keeps answers, and the form that is printed, filled in by hand and typed in.

What it does: turns an assessment into TOML and back; writes questions as a form whose lines beginning with ">" are for answers, and reads
such a form again.
Not its job: files, and whether an answer makes sense (`interview`).
Raises: `FormError` for a text that cannot be read.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import tomlkit

from gatepost.assess.model import Answer, Assessment, Audience, Noted, Question, Row, Sheet
from gatepost.assess.words import in_words

WHO = "who"
"""What a sheet is headed with."""
NEXT_SHEET = "====="
_QUESTION = re.compile(r"\s*\[([a-z][a-z0-9-]*)\]")
_BLANK_ROWS = 6


class FormError(Exception):
    """A text that is no answers; says what and where."""


def written(assessment: Assessment) -> str:
    """The assessment as TOML."""
    answers = {name: answer if isinstance(answer, str) else [dict(row) for row in answer] for name, answer in assessment.answers.items()}
    noted = {name: {key: value for key, value in asdict(one).items() if value} for name, one in assessment.noted.items()}
    sheets = [{WHO: sheet.who, "answers": dict(sheet.answers)} for sheet in assessment.sheets]
    return tomlkit.dumps({"answers": answers, "noted": noted, "sheet": sheets})


def read(text: str) -> Assessment:
    """The assessment in a TOML text."""
    try:
        found = tomllib.loads(text)
        answers = {name: _answer(given) for name, given in found.get("answers", {}).items()}
        noted = {name: _noted(given) for name, given in found.get("noted", {}).items()}
        sheets = tuple(Sheet(str(one.get(WHO, "")), _texts(one["answers"])) for one in found.get("sheet", ()))
    except tomllib.TOMLDecodeError as error:
        raise FormError(f"this is no TOML: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise FormError(f"this is no assessment: {error}; gatepost assess makes one") from None
    return Assessment(answers, sheets, noted)


def _answer(given: Any) -> Answer:
    return tuple(_texts(row) for row in given) if isinstance(given, list) else str(given)


def _texts(row: Mapping[str, Any]) -> Row:
    return {str(key): str(value) for key, value in row.items()}


def _noted(given: Mapping[str, Any]) -> Noted:
    known = {one.name: one.type for one in fields(Noted)}
    for key, value in given.items():
        if key not in known or isinstance(value, dt.date) != ("date" in str(known[key])):
            raise TypeError(f"{key} = {value!r} cannot be noted of a risk")
    return Noted(**given)


def printed(questions: Iterable[Question], language: str = "en") -> str:
    """The questions as a form to print and fill in."""
    lines: list[str] = []
    section = ""
    for question in questions:
        if question.section != section:
            section = question.section
            lines += ["", in_words(section, language).upper(), ""]
        lines += [*_asked(question, language), ""]
    return "\n".join(lines).lstrip("\n")


def sheet_head(language: str = "en") -> str:
    """What stands above a sheet for one employee."""
    return f"[{WHO}] {in_words('Your name (may stay empty)', language)}\n> \n"


def _asked(question: Question, language: str) -> Iterator[str]:
    text, why = question.words(language)
    yield f"[{question.id}] {text}"
    yield f"    ({why})"
    if question.example:
        yield f"    {in_words('e.g.', language)} {question.example}"
    if question.form == "yes-no":
        yield f"    {in_words('yes / no', language)}"
    for choice in question.choices:
        yield f"    {choice.value} = {choice.de if language == 'de' else choice.text}"
    if question.form == "table":
        yield "    " + " | ".join(column.de if language == "de" else column.text for column in question.columns)
        yield f"    {in_words('e.g.', language)} " + " | ".join(column.example for column in question.columns)
    yield from ["> "] * (_BLANK_ROWS if question.form == "table" else 1)


def sheets(text: str) -> Iterator[dict[str, list[str]]]:
    """What was written behind ">" for each question, a dictionary for each form in the text. Lines that are not filled in are left out."""
    for part in text.split(NEXT_SHEET):
        found = _filled(part)
        if found:
            yield found


def _filled(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := _QUESTION.match(line):
            current = head[1]
        elif line.startswith(">") and (answer := line[1:].strip()):
            if not current:
                raise FormError(f"line {number}: an answer before any question; each question begins with its [name]")
            found.setdefault(current, []).append(answer)
    return found


def cells(line: str, question: Question) -> Row:
    """One row of a table as it was written, cells with "|" between them. Raises FormError."""
    given = [cell.strip() for cell in line.split("|")]
    if len(given) > len(question.columns):
        raise FormError(f"{question.id}: {line!r} has {len(given)} cells, the table {len(question.columns)}")
    keys = [column.key for column in question.columns]
    return {key: cell for key, cell in zip(keys, given, strict=False) if cell}


def is_sheet(found: Mapping[str, list[str]], employees: Iterable[Question]) -> bool:
    """Whether a filled-in form is the sheet of an employee."""
    names = {question.id for question in employees if question.audience is Audience.EMPLOYEES}
    return bool(names & set(found))
