"""What answers add up to: computer literacy, what falls together, who holds which privileges.

Not its job: risks (`risks`), which are judged from these figures.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.assess.model import Assessment, Sheet

LITERACY = ("e-files", "e-attachment", "e-sender", "e-scan", "e-update")
MOST_POINTS = 3
LOW, HIGH = 50, 75
"""Per cent below which literacy is low, and from which it is high."""

VALUES = {"low": 1, "medium": 2, "high": 3}


@dataclass(frozen=True, slots=True)
class Literacy:
    """Per cent of all points, over so many sheets; None when nobody was asked."""

    score: int | None
    sheets: int

    @property
    def level(self) -> str:
        """One word: unknown, low, middle or high."""
        if self.score is None:
            return "unknown"
        return "low" if self.score < LOW else "high" if self.score >= HIGH else "middle"

    @property
    def duties(self) -> bool:
        """Whether employees may be given duties, such as deciding about held mail. Nobody is burdened before somebody asked."""
        return self.level in {"middle", "high"}


@dataclass(frozen=True, slots=True)
class Alone:
    """A machine on which several things depend and which nothing replaces: what falls with it, and which data lie on it."""

    machine: str
    duties: tuple[str, ...]
    data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Privilege:
    """A right or a key that a person has, and why; an empty reason is a finding."""

    person: str
    kind: str
    on: str
    why: str


def literacy(sheets: Sequence[Sheet]) -> Literacy:
    """The mean of all literacy answers of all sheets; a question that was left out does not count."""
    points = [int(sheet.answers[name]) for sheet in sheets for name in LITERACY if sheet.answers.get(name, "").isdigit()]
    counted = sum(any(name in sheet.answers for name in LITERACY) for sheet in sheets)
    return Literacy(round(100 * sum(points) / (MOST_POINTS * len(points))) if points else None, counted)


def duties(text: str) -> tuple[str, ...]:
    """The duties of a machine, as the table has them."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def alone(assessment: Assessment) -> tuple[Alone, ...]:
    """Single points of failure: machines with several duties, or with valuable data, that nothing replaces; most duties first."""
    found = []
    for row in assessment.rows("machines"):
        data = tuple(one["what"] for one in assessment.rows("data") if one["where"] == row["machine"])
        if row.get("replaces", "nothing").lower() in {"nothing", "nichts", "-", "no", "none"} and (len(duties(row["duties"])) > 1 or data):
            found.append(Alone(row["machine"], duties(row["duties"]), data))
    return tuple(sorted(found, key=lambda one: (-len(one.duties), one.machine)))


def privileges(assessment: Assessment) -> tuple[Privilege, ...]:
    """Each person with root rights or keys, with the reason."""
    kinds = (("root", "root rights"), ("keys", "keys"))
    return tuple(
        Privilege(row["person"], words, row["on"], row.get("why", "")) for question, words in kinds for row in assessment.rows(question)
    )


def share(sheets: Sequence[Sheet], name: str, *values: str) -> tuple[int, int]:
    """How many of those who answered gave one of these answers, and how many answered."""
    given = [sheet.answers[name] for sheet in sheets if name in sheet.answers]
    return sum(one in values for one in given), len(given)
