"""The values of a risk interview: questions, answers, sheets of single people, and what people noted about risks.

Not its job: which questions there are (`catalogue`), what answers mean (`score`, `risks`, `recommend`), files (`form` makes texts).
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Row = Mapping[str, str]
Answer = str | tuple[Row, ...]
"""A text, or the rows of a table by the keys of its columns. Yes and no are "yes" and "no"."""


class Audience(StrEnum):
    """Who is asked. Employees fill in a sheet each; the others answer once for the company."""

    IT = "it"
    MANAGERS = "managers"
    HR = "hr"
    EMPLOYEES = "employees"


Form = Literal["text", "yes-no", "choice", "table", "address", "addresses", "interface", "network", "domains", "mail"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to choose: what is stored, and its words in English and German."""

    value: str
    text: str
    de: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its key, its words in English and German, an example, and the values it may have (none: any text)."""

    key: str
    text: str
    de: str
    example: str = ""
    values: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `why` says what the answer decides, `rows` names the requirements it comes from, `needed` marks the short way.

    `only_if` is the id of another question and the answer it must have had for this one to be asked.
    """

    id: str
    audience: Audience
    section: str
    text: str
    why: str
    de: str
    why_de: str
    rows: tuple[str, ...]
    form: Form = "text"
    choices: tuple[Choice, ...] = ()
    columns: tuple[Column, ...] = ()
    example: str = ""
    needed: bool = False
    only_if: tuple[str, str] | None = None

    def words(self, language: str = "en") -> tuple[str, str]:
        """The question and why it is asked, in "en" or "de"."""
        return (self.de, self.why_de) if language == "de" else (self.text, self.why)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one employee answered; `who` may be empty."""

    who: str
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Noted:
    """What people decided about a risk: when it was first seen, who deals with it until when, who accepts it until when and why, when it was done."""

    found: dt.date | None = None
    owner: str = ""
    due: dt.date | None = None
    accepted_by: str = ""
    accepted_until: dt.date | None = None
    accepted_why: str = ""
    done: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that was answered and noted; a value, changed by making a new one."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    sheets: tuple[Sheet, ...] = ()
    noted: Mapping[str, Noted] = field(default_factory=dict)

    def text(self, question: str, default: str = "") -> str:
        """The answer to a question that is answered with a text."""
        found = self.answers.get(question, "")
        return found if isinstance(found, str) and found else default

    def rows(self, question: str) -> tuple[Row, ...]:
        """The rows of a table, none when it was not answered."""
        found = self.answers.get(question, ())
        return found if isinstance(found, tuple) else ()

    def is_(self, question: str, *values: str) -> bool:
        """Whether the answer is one of these; a question that nobody answered is none of them."""
        return self.text(question) in values
