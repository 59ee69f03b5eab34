"""Counting judged mail for reports; pure.

What it does: adds up the data of `mail.judged` events by day, direction, virus, partner and engine.
Not its job: reading the journal (`Journal.facts`) or wording (`gatepost.report`).
Raises: `KeyError` for data that is not that of a judged mail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gatepost.journal.rows import domain


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of mails and of recipients.

    `days` counts recipients by (day in UTC, direction, disposition), `kinds` and `viruses` count mails by (direction, kind or name),
    `partners` infected mails by (direction, domain of the other side), `engines` mails by (engine, state).
    A mail that goes two ways counts once for each direction.
    """

    mails: int = 0
    bytes: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    days: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    viruses: Counter[tuple[str, str]] = field(default_factory=Counter)
    partners: Counter[tuple[str, str]] = field(default_factory=Counter)
    engines: Counter[tuple[str, str]] = field(default_factory=Counter)


def tally(facts: Iterable[tuple[float, Mapping[str, Any]]]) -> Tally:
    """Count mails given as time (seconds since the epoch) and data."""
    result = Tally()
    mails, size, seconds, slowest = 0, 0, 0.0, 0.0
    for at, data in facts:
        mails += 1
        size += data["size"]
        seconds += data["seconds"]
        slowest = max(slowest, data["seconds"])
        _count(result, at, data)
    return Tally(mails, size, seconds, slowest, result.days, result.kinds, result.viruses, result.partners, result.engines)


def _count(result: Tally, at: float, data: Mapping[str, Any]) -> None:
    day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    result.days.update((day, one["direction"], one["disposition"]) for one in data["recipients"])
    directions = {one["direction"] for one in data["recipients"]}
    kinds = {one["kind"] for one in data["findings"]}
    names = {one["name"] for one in data["findings"] if one["kind"] == "virus"}
    result.kinds.update((direction, kind) for direction in directions for kind in kinds)
    result.viruses.update((direction, name) for direction in directions for name in names)
    if names:
        result.partners.update({(direction, partner) for direction in directions for partner in _partners(direction, data)})
    result.engines.update({(one["name"], one["state"]) for one in data["engines"]})


def _partners(direction: str, data: Mapping[str, Any]) -> set[str]:
    """The domains of the other side: of the sender inbound, of the recipients outbound, nobody's within the house."""
    if direction == "inbound":
        return {domain(data["sender"]).removeprefix("@")}
    if direction == "outbound":
        return {domain(one["address"]).removeprefix("@") for one in data["recipients"] if one["direction"] == direction}
    return set()
