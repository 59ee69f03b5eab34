"""The risk register: which risks are there, how grave, who deals with each until when, and what was accepted meanwhile.

What it does: joins what the answers show (`known`, `signs`) with what people noted; orders it; compares before and after a change; plans phases.
Not its job: layout.
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from gatepost.assess.known import RISKS, Known
from gatepost.assess.model import Answer, Assessment, Noted

DAYS = {1: 14, 2: 60, 3: 180}
"""Days until a risk of each phase should be dealt with, where nobody said otherwise."""
PHASES = {1: "now", 2: "next", 3: "later"}
GRAVE, MIDDLE = 15, 8
"""Likelihood times impact from which a risk is grave, and from which it is of middle weight."""


class State(StrEnum):
    """OPEN: something must be done. ACCEPTED: somebody carries it for a time. DONE: dealt with."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Risk:
    """One risk of the register."""

    known: Known
    details: tuple[str, ...]
    state: State
    owner: str
    found: dt.date
    due: dt.date
    noted: Noted

    @property
    def id(self) -> str:
        """Its short name."""
        return self.known.id

    @property
    def level(self) -> int:
        """Likelihood times impact, 1 to 25."""
        return self.known.likelihood * self.known.impact

    @property
    def weight(self) -> str:
        """The level in a word: grave, middle or small."""
        return "grave" if self.level >= GRAVE else "middle" if self.level >= MIDDLE else "small"

    def overdue(self, today: dt.date) -> bool:
        """Whether it should have been dealt with before today."""
        return self.state is State.OPEN and self.due < today


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change: what it is, and how answers would be before and after it."""

    id: str
    title: str
    before: Mapping[str, Answer]
    after: Mapping[str, Answer]


CHANGES = (
    Change(
        "host-own-mail",
        "Host our own mail: from mailboxes at the provider to a relay of our own under a fixed address",
        {"mail-now": "provider", "host-own-mail": "no", "fixed-address": "no"},
        {"mail-now": "own", "host-own-mail": "yes", "fixed-address": "yes"},
    ),
    Change("remote-access", "Let people in from outside by VPN", {"vpn": "no"}, {"vpn": "yes"}),
    Change("second-layer", "Put the most valuable data behind a second firewall", {"second-layer": "no"}, {"second-layer": "yes"}),
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to the register."""

    change: Change
    added: tuple[Risk, ...]
    removed: tuple[Risk, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of the plan: what is done, what is to do, and what is deferred, which means accepted for the time being."""

    number: int
    name: str
    done: tuple[Risk, ...]
    to_do: tuple[Risk, ...]
    deferred: tuple[Risk, ...]


def register(assessment: Assessment, today: dt.date) -> tuple[Risk, ...]:
    """All risks that the answers show, the open and grave ones first."""
    found = ((known, known.sign(assessment)) for known in RISKS)
    risks = [_risk(known, details, assessment, today) for known, details in found if details is not None]
    order = list(State)
    return tuple(sorted(risks, key=lambda one: (order.index(one.state), -one.level, one.known.phase, one.id)))


def _risk(known: Known, details: tuple[str, ...], assessment: Assessment, today: dt.date) -> Risk:
    noted = assessment.noted.get(known.id, Noted())
    found = noted.found or today
    owner = noted.owner or assessment.text("responsible") or "nobody yet"
    return Risk(known, details, _state(noted, today), owner, found, noted.due or found + dt.timedelta(DAYS[known.phase]), noted)


def _state(noted: Noted, today: dt.date) -> State:
    """An acceptance ends with its date: then the risk is open again."""
    if noted.done is not None:
        return State.DONE
    accepted = bool(noted.accepted_by) and (noted.accepted_until is None or noted.accepted_until >= today)
    return State.ACCEPTED if accepted else State.OPEN


def seen(assessment: Assessment, today: dt.date) -> Assessment:
    """The assessment in which each risk that is there has the date on which it was first seen, so that its due date stays."""
    fresh = {risk.id: replace(risk.noted, found=today) for risk in register(assessment, today) if risk.noted.found is None}
    return replace(assessment, noted={**assessment.noted, **fresh})


def noted(assessment: Assessment, name: str, given: Noted) -> Assessment:
    """The assessment with what people decided about one risk."""
    return replace(assessment, noted={**assessment.noted, name: given})


def effect(assessment: Assessment, change: Change, today: dt.date) -> Effect:
    """Which risks a change adds and removes, whatever else was answered."""
    before, after = (
        {risk.id: risk for risk in register(replace(assessment, answers={**assessment.answers, **answers}), today)}
        for answers in (change.before, change.after)
    )
    return Effect(
        change,
        tuple(risk for name, risk in after.items() if name not in before),
        tuple(risk for name, risk in before.items() if name not in after),
    )


def plan(risks: tuple[Risk, ...]) -> tuple[Phase, ...]:
    """The phases: everything that is there belongs to one."""
    return tuple(
        Phase(number, name, *(tuple(one for one in risks if one.known.phase == number and one.state is state) for state in _PLANNED))
        for number, name in PHASES.items()
    )


_PLANNED = (State.DONE, State.OPEN, State.ACCEPTED)
