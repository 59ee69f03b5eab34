"""Who may log in, and what people did here. Accounts are made and removed with `gatepost console user`, by those who have the machine."""

from __future__ import annotations

from starlette.responses import Response

from gatepost.console.visit import Visit


def show(visit: Visit) -> Response:
    """Accounts, and the newest deeds."""
    return visit.page("people.html", users=visit.console.accounts.all(), deeds=visit.console.accounts.deeds())
