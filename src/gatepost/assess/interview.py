"""The interview itself: which questions are open, whether an answer can be one, and the assessment with it.

What it does: normalises what was typed ("y", "2", "ja"), refuses what cannot be an answer with a sentence, keeps the order.
Not its job: terminal, web page or paper; all three call this.
Raises: `AnswerError`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface

from gatepost.assess import form
from gatepost.assess.catalogue import asked_of, question, questions, short_way
from gatepost.assess.model import Answer, Assessment, Audience, Question, Row, Sheet
from gatepost.site.base import parse_address, parse_domain

YES = frozenset({"yes", "y", "ja", "j", "true", "1"})
NO = frozenset({"no", "n", "nein", "false", "0"})


class AnswerError(Exception):
    """What was given cannot answer the question; the text says what could."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an interview is."""

    answered: int
    asked: int

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.answered} of {self.asked}"


def asked(assessment: Assessment, audience: Audience | None = None, *, short: bool = False) -> tuple[Question, ...]:
    """The questions to ask, with those left out whose condition is not met. Employees are asked on sheets of their own."""
    if short:
        chosen = short_way()
    elif audience is not None:
        chosen = asked_of(audience)
    else:
        chosen = tuple(one for one in questions() if one.audience is not Audience.EMPLOYEES)
    return tuple(one for one in chosen if one.only_if is None or assessment.is_(*one.only_if))


def left(assessment: Assessment, audience: Audience | None = None, *, short: bool = False) -> tuple[Question, ...]:
    """The questions that have no answer yet."""
    return tuple(one for one in asked(assessment, audience, short=short) if one.id not in assessment.answers)


def progress(assessment: Assessment, audience: Audience | None = None, *, short: bool = False) -> Progress:
    """How many of the questions have their answer."""
    total = len(asked(assessment, audience, short=short))
    return Progress(total - len(left(assessment, audience, short=short)), total)


def answered(assessment: Assessment, name: str, given: str | Sequence[Row]) -> Assessment:
    """The assessment with one more answer; an empty one takes the answer away. Raises AnswerError."""
    found = question(name)
    if found is None or found.audience is Audience.EMPLOYEES:
        raise AnswerError(f"there is no question {name!r} for the company; gatepost assess print lists them")
    answer = normal(found, given)
    kept = {key: value for key, value in assessment.answers.items() if key != name}
    return replace(assessment, answers=kept | ({name: answer} if answer else {}))


def normal(asked_for: Question, given: str | Sequence[Row]) -> Answer:
    """An answer in its stored form. Raises AnswerError."""
    if asked_for.form == "table":
        rows = given if not isinstance(given, str) else [form.cells(line, asked_for) for line in given.splitlines() if line.strip()]
        return tuple(_row(asked_for, row) for row in rows)
    if not isinstance(given, str):
        raise AnswerError(f"{asked_for.id} is answered with a text, not with a table")
    text = _plain(given)
    return _FORMS.get(asked_for.form, _text)(asked_for, text) if text else ""


def _row(asked_for: Question, row: Mapping[str, str]) -> Row:
    clean = {key: text for key, value in row.items() if (text := _plain(str(value)))}
    for column in asked_for.columns:
        value = clean.get(column.key, "")
        if not value and not column.optional:
            raise AnswerError(f"{asked_for.id}: a row needs {column.text!r}, e.g. {column.example}")
        if value and column.values and value not in column.values:
            raise AnswerError(f"{asked_for.id}: {value!r} is none of {', '.join(column.values)}")
        if value and column.key == "until":
            _date(value)
    unknown = set(clean) - {column.key for column in asked_for.columns}
    if unknown:
        raise AnswerError(f"{asked_for.id} has no column {', '.join(sorted(unknown))}")
    return clean


def _plain(text: str) -> str:
    """One line without what no terminal should see; it stands in files and documents."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise AnswerError(f"{text!r} is no date; write it like 2026-12-31") from None


def _text(_question: Question, text: str) -> str:
    return text


def _yes_no(asked_for: Question, text: str) -> str:
    if text.lower() in YES | NO:
        return "yes" if text.lower() in YES else "no"
    raise AnswerError(f"{asked_for.id}: {text!r} is neither yes nor no")


def _choice(asked_for: Question, text: str) -> str:
    """The value itself, its words in either language, or its place in the list, beginning with 1, where values are no numbers."""
    for number, choice in enumerate(asked_for.choices, 1):
        numbered = str(number) if not choice.value.isdigit() else choice.value
        if text.lower() in {choice.value, choice.text.lower(), choice.de.lower(), numbered}:
            return choice.value
    raise AnswerError(f"{asked_for.id}: {text!r} is none of {', '.join(choice.value for choice in asked_for.choices)}")


def _each(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _checked(parse: Callable[[str], object]) -> Callable[[Question, str], str]:
    """Several words, each of which must be readable."""

    def normalised(asked_for: Question, text: str) -> str:
        try:
            return " ".join(str(parse(one)) for one in _each(text))
        except ValueError as error:
            raise AnswerError(f"{asked_for.id}: {error}") from None

    return normalised


def _mail(asked_for: Question, text: str) -> str:
    """One address; a name before it, or angle brackets, may stand there."""
    words = [word.strip("<>(),;") for word in text.split() if "@" in word]
    if len(words) != 1:
        raise AnswerError(f"{asked_for.id}: one mail address is needed, like {asked_for.example}")
    return _checked(parse_address)(asked_for, words[0])


def _interface(parse: Callable[[str], object]) -> Callable[[Question, str], str]:
    def normalised(asked_for: Question, text: str) -> str:
        name, *rest = _each(text)
        if not rest or "." in name or ":" in name or "/" in name:
            raise AnswerError(f"{asked_for.id}: name the interface, then its addresses, like {asked_for.example}")
        return f"{name} {_checked(parse)(asked_for, ' '.join(rest))}"

    return normalised


def _network_address(text: str) -> str:
    found = ip_interface(text)
    if "/" not in text or found.network.num_addresses == 1:
        raise ValueError(f"{text!r} needs the length of its network, like 192.168.2.1/24")
    return str(found)


_FORMS: dict[str, Callable[[Question, str], str]] = {
    "yes-no": _yes_no,
    "choice": _choice,
    "address": _checked(ip_address),
    "addresses": _checked(ip_address),
    "interface": _interface(lambda text: ip_address(text.partition("/")[0])),
    "network": _interface(_network_address),
    "domains": _checked(parse_domain),
    "mail": _mail,
}


def sheet(who: str, given: Mapping[str, str]) -> Sheet:
    """The sheet of one employee. Raises AnswerError."""
    clean: dict[str, str] = {}
    for name, text in given.items():
        found = question(name)
        if found is None or found.audience is not Audience.EMPLOYEES:
            raise AnswerError(f"there is no question {name!r} for employees")
        answer = normal(found, text)
        if isinstance(answer, str) and answer:
            clean[name] = answer
    return Sheet(" ".join(who.split()), clean)


def entered(assessment: Assessment, text: str) -> tuple[Assessment, int]:
    """The assessment with everything that a filled-in form says, and how many answers those are. Raises AnswerError, `form.FormError`."""
    count = 0
    for filled in form.sheets(text):
        if form.is_sheet(filled, questions()):
            given = {name: " ".join(lines) for name, lines in filled.items() if name != form.WHO}
            assessment = replace(assessment, sheets=(*assessment.sheets, sheet(" ".join(filled.get(form.WHO, [])), given)))
        else:
            for name, lines in filled.items():
                if name != form.WHO:
                    assessment = answered(assessment, name, "\n".join(lines))
        count += len(set(filled) - {form.WHO})
    return assessment, count
