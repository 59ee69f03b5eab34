"""The site: everything that is declared, with all defaults, and what applying it would change on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from starlette.responses import Response

from gatepost.console.visit import Refused, Visit
from gatepost.deploy.current import planned
from gatepost.deploy.ledger import Ledger
from gatepost.deploy.machine import DeployError
from gatepost.deploy.plan import Fate, Plan, diff
from gatepost.relay.compile import Role
from gatepost.relay.intent import RelayError
from gatepost.site.written import lines

ROLES: tuple[Role, ...] = get_args(Role)
HIDDEN = ("webhook",)
"""Keys whose values give power to whoever reads them."""


def show(visit: Visit) -> Response:
    """The declared values, and the plan when it is asked for."""
    role = visit.asked("plan")
    made, problem = (None, "") if not role else _plan(visit, role)
    return visit.page("site.html", sections=sections(visit), role=role, roles=ROLES, plan=made, problem=problem)


def declared(visit: Visit) -> dict[str, Any]:
    """All values with their defaults; what nobody needs to see is left out."""
    values = visit.console.site.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: _shown(value) for name, value in values.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "(hidden)" if name in HIDDEN and one else _shown(one) for name, one in value.items()}
    return value


def sections(visit: Visit) -> list[tuple[str, str]]:
    """The site file by its sections: name and lines."""
    return [(name, "\n".join(lines({name: value})).strip()) for name, value in declared(visit).items() if value not in ({}, [], "")]


def _plan(visit: Visit, role: str) -> tuple[list[dict[str, Any]] | None, str]:
    try:
        return plan(visit, role), ""
    except Refused as refused:
        return None, refused.sentence


def plan(visit: Visit, role: str) -> list[dict[str, Any]]:
    """Each file that would change, with its difference."""
    chosen = next((one for one in ROLES if one == role), None)
    if chosen is None:
        raise Refused(400, f"{visit.words('A machine can be:')} {', '.join(ROLES)}")
    try:
        made: Plan = planned(visit.console.site, chosen, Ledger(Path(visit.console.site.site.state) / "deploy"), Path("/"))
    except (DeployError, RelayError) as error:
        raise Refused(409, str(error)) from None
    except OSError as error:
        raise Refused(409, f"{error.filename}: {error.strerror}; gatepost plan says it on the machine itself") from None
    changes = [one for one in made.changes if one.fate is not Fate.SAME]
    return [{"path": str(one.path), "fate": one.fate.value, "conflict": one.conflict, "diff": list(diff(one))} for one in changes]
