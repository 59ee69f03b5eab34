"""All questions of the interview, read once from the data files beside this module.

Not its job: asking (`interview`).
Raises: nothing at run time; a data file that is wrong fails the tests.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from gatepost.assess.model import Audience, Choice, Column, Question


@cache
def questions() -> tuple[Question, ...]:
    """Every question, in the order in which it is asked."""
    folder = files("gatepost.assess") / "questions"
    return tuple(
        _question(audience, one)
        for audience in Audience
        for one in tomllib.loads((folder / f"{audience}.toml").read_text(encoding="utf-8"))["question"]
    )


def question(name: str) -> Question | None:
    """The question with this id."""
    return next((one for one in questions() if one.id == name), None)


def asked_of(audience: Audience) -> tuple[Question, ...]:
    """The questions for one group of people."""
    return tuple(one for one in questions() if one.audience is audience)


def short_way() -> tuple[Question, ...]:
    """The twelve questions that are enough for a network of three zones."""
    return tuple(one for one in questions() if one.needed)


def _question(audience: Audience, given: dict[str, Any]) -> Question:
    plain = {key: value for key, value in given.items() if key not in {"choices", "columns", "rows", "only_if"}}
    return Question(
        audience=audience,
        rows=tuple(given["rows"]),
        choices=tuple(Choice(*one) for one in given.get("choices", ())),
        columns=tuple(Column(**{**one, "values": tuple(one.get("values", ()))}) for one in given.get("columns", ())),
        only_if=(given["only_if"][0], given["only_if"][1]) if "only_if" in given else None,
        **plain,
    )
