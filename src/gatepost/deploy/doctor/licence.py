"""The licences of engines, by the dates that the site file names: an engine whose licence is over stops catching without a word.

Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from gatepost.deploy.doctor.check import Machine, Seen, error, warning, well
from gatepost.site.model import Site

ENDS = "engine.licence"
"""Kind of the journal's event when a licence is about to end, or has ended."""

SOON, AT_ONCE = 30, 7
"""Days before the end at which the administrator is told."""

REMEDY = "renew it, write its new end as licence_until, or add a second engine first: gatepost engines certify shows what it catches"


def stage(until: dt.date, today: dt.date) -> str:
    """How near the end of a licence is, in words that change only when the administrator should hear of it again; "" when it is far."""
    left = (until - today).days
    if left < 0:
        return f"its licence is over since {until}"
    if left <= AT_ONCE:
        return f"its licence ends within {AT_ONCE} days, on {until}"
    return f"its licence ends within {SOON} days, on {until}" if left <= SOON else ""


def licences(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether each engine's licence goes on."""
    today = dt.datetime.fromtimestamp(machine.now(), dt.UTC).date()
    for name, engine in site.engines.items():
        if not engine.enabled or engine.licence_until is None:
            continue
        said = stage(engine.licence_until, today)
        if said and engine.licence_until < today and engine.role == "required":
            yield error(f"engine {name}: {said}; it may have stopped catching", REMEDY)
        elif said:
            yield warning(f"engine {name}: {said}", REMEDY)
        else:
            yield well(f"the licence of engine {name} runs until {engine.licence_until}")
