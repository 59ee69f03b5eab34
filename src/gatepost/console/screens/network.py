"""What the firewall and the integrity check say: the declared policy in words, and the newest signed report about the file system."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from starlette.responses import Response

from gatepost.console.visit import Refused, Visit
from gatepost.firewall.declare import DeclarationError, Policy, declare
from gatepost.firewall.document import drawing, policy_rows
from gatepost.integrity import text
from gatepost.integrity.chain import ChainError
from gatepost.integrity.report import Report, Status, opened_report
from gatepost.integrity.sign import KeyFileError
from gatepost.integrity.state import State

_DRAWING = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The drawing brings its own style, and is shown as a picture, in which nothing runs."""


def firewall(visit: Visit) -> Response:
    """The definitive list of what may pass, why, and who answers for it."""
    if not visit.console.site.zones:
        return visit.page("firewall.html", rows=None, zones=(), matrix={})
    policy = _policy(visit)
    zones = ("firewall", *policy.zones)
    matrix = {pair: len({item.id for item in items}) for pair, items in policy.pairs().items()}
    return visit.page("firewall.html", rows=policy_rows(policy), zones=zones, matrix=matrix)


def picture(visit: Visit) -> Response:
    """The network as a drawing."""
    if not visit.console.site.zones:
        raise Refused(404, "This site declares no network.")
    return Response(drawing(_policy(visit)), media_type="image/svg+xml", headers={"Content-Security-Policy": _DRAWING})


def _policy(visit: Visit) -> Policy:
    today = datetime.fromtimestamp(visit.console.now(), UTC).date()
    try:
        return declare(visit.console.site, today)
    except DeclarationError as error:
        said = "; ".join(what for _where, what, _remedy in error.problems)
        raise Refused(409, f"The network of the site file is not right: {said}. gatepost site check says more.") from None


def integrity(visit: Visit) -> Response:
    """The newest report, when its signature is right."""
    report, problem = _newest(visit)
    return visit.page("integrity.html", report=report, problem=problem, text=text, well=report is not None and report.status is Status.WELL)


def _newest(visit: Visit) -> tuple[Report | None, str]:
    section = visit.console.site.integrity
    state = State(Path(visit.console.site.site.state) / "integrity", section.signer, section.strict)
    try:
        path = state.last_report()
        if path is None:
            return None, "No check has run yet; begin with gatepost integrity init, then gatepost integrity check."
        return opened_report(path.read_bytes(), state.ledger_keys(), path.name)[0], ""
    except ChainError as error:
        return None, f"The newest report cannot be trusted: {error}"
    except (OSError, KeyFileError) as error:
        return None, f"The newest report cannot be read: {error}"
