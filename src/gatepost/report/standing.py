"""What holds today for the page of a month: whose zones are outside, and which risks are open.

Raises: `FormError` and `OSError` when the interview in the state folder cannot be read.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from gatepost.assess import store
from gatepost.assess.risks import State, register
from gatepost.report.onepager import Standing
from gatepost.site.model import Site


def standing(site: Site, today: dt.date) -> Standing:
    """Of this site, on this day."""
    outside = frozenset(name for name, zone in site.zones.items() if zone.external)
    found = store.load(store.path_in(Path(site.site.state)))
    risks = tuple(risk for risk in register(found, today) if risk.state is State.OPEN) if found.answers else None
    return Standing(outside, risks, today)
