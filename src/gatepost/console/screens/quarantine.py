"""The quarantine: what is held for whom, a safe look into it, release and deletion after saying exactly what will happen.

People with the role of a user see and do here what concerns their own address, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.responses import Response

from gatepost.console.desk import DeskError, Forecast
from gatepost.console.listing import TEXTS, VERDICTS, chips, page, query_of
from gatepost.console.own import own_decisions, recipients_decide
from gatepost.console.preview import preview
from gatepost.console.rights import Right, Role
from gatepost.console.visit import Refused, Visit
from gatepost.journal.interface import Query, Row
from gatepost.journal.states import State
from gatepost.mail.act.quarantine import FALSE_ALARM, RELEASABLE, false_alarm

MOST_ROWS = 10_000
MOST_PICKS = 500
MOST_PROBES = 20
"""Picks for which the next hop is asked in advance; for more the page would be long in coming."""
ACTS = ("release", "delete")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pick will do: the row, and for a release its forecast."""

    row: Row
    forecast: Forecast | None = None

    @property
    def pick(self) -> str:
        """How a form names it."""
        return f"{self.row.id} {self.row.recipient}"


def query(visit: Visit) -> Query:
    """What the visitor asks to see of the quarantine; with `all`, refused mail whose bytes are kept too."""
    states = (State.QUARANTINED, State.REJECTED, State.CLEANED) if visit.asked("all") else (State.QUARANTINED,)
    return _scoped(visit, replace(query_of(visit.request.query_params), states=states, kept=True))


def show(visit: Visit) -> Response:
    """What is held."""
    wanted = query(visit)
    return visit.page(
        "quarantine.html",
        found=page(visit.console.journal, wanted),
        verdicts=[chip for chip in chips(visit.console.journal, wanted, "verdict", VERDICTS) if chip.value != "clean"],
        given={name: visit.asked(name) for name in (*TEXTS, "since", "until")},
        everything=bool(visit.asked("all")),
        releases=visit.user.role is not Role.USER or recipients_decide(visit.console.site),
        keep_days=visit.console.site.quarantine.keep / 86_400,
    )


def _scoped(visit: Visit, query: Query) -> Query:
    return replace(query, recipient=visit.user.address) if visit.user.role is Role.USER else query


def rows_of(visit: Visit, identifier: str) -> list[Row]:
    """The rows of one kept mail that this visitor may see."""
    rows = visit.console.journal.search(_scoped(visit, Query(id=identifier.upper(), kept=True, limit=MOST_ROWS)))
    if not rows:
        raise Refused(404, visit.words("No kept mail has this id; it may have expired or been deleted."))
    return rows


def one(visit: Visit) -> Response:
    """A safe look into one kept mail."""
    rows = rows_of(visit, visit.request.path_params["id"])
    raw = visit.console.contents.get(rows[0].digest)
    visit.console.accounts.note(visit.user.name, visit.client, "looked into", rows[0].id)
    return visit.page(
        "held.html",
        id=rows[0].id,
        recipients=rows,
        mail=preview(raw),
        releasable=[row for row in rows if row.state in RELEASABLE and visit.may(Right.ACT)],
        releases=all(may_release(visit, row) for row in rows),
    )


def may_release(visit: Visit, row: Row) -> bool:
    """Whether this visitor may have this mail delivered: recipients themselves only what can do no harm."""
    return visit.user.role is not Role.USER or row.verdict in own_decisions(visit.console.site)


def may_do(visit: Visit, chosen: str, row: Row) -> None:
    """Refuse a release that is an administrator's decision."""
    if chosen == "release" and not may_release(visit, row):
        site = visit.console.site
        told = "If you need this mail, ask {address} and name the number {number}."
        raise Refused(403, visit.words(told, address=site.postmaster, number=row.id))


def confirm(visit: Visit) -> Response:
    """Say what will happen, before it does."""
    chosen, plans = _act(visit), _plans(visit)
    for one_plan in plans:
        may_do(visit, chosen, one_plan.row)
    if chosen == "release":
        probe = len(plans) <= MOST_PROBES
        plans = [replace(one, forecast=visit.console.desk.forecast(one.row.id, one.row.recipient, probe=probe)) for one in plans]
    return visit.page("confirm.html", act=chosen, plans=plans)


def _act(visit: Visit) -> str:
    chosen = visit.sent("act")
    if chosen not in ACTS:
        raise Refused(400, "There is no such deed.")
    return chosen


def _plans(visit: Visit) -> list[Plan]:
    picks = list(dict.fromkeys(visit.all_sent("pick")))
    if not picks:
        raise Refused(400, visit.words("Nothing was chosen: tick the mails first."))
    if len(picks) > MOST_PICKS:
        raise Refused(400, visit.words("At most 500 mails at a time."))
    return [plan(visit, *pick.partition(" ")[::2]) for pick in picks]


def plan(visit: Visit, identifier: str, recipient: str) -> Plan:
    """The row that a deed would be done to, if it can be."""
    row = next((row for row in rows_of(visit, identifier) if row.recipient == recipient.lower()), None)
    if row is None:
        raise Refused(404, visit.words("This mail was not for this recipient."))
    if row.state not in RELEASABLE:
        raise Refused(409, visit.words("This mail is no longer held for this recipient."))
    return Plan(row)


def act(visit: Visit) -> Response:
    """Do it, one after the other; what could not be done is said, and stays held."""
    chosen, plans = _act(visit), _plans(visit)
    done, failed = [], []
    for one_plan in plans:
        try:
            carry_out(visit, chosen, one_plan.row)
        except DeskError as error:
            failed.append((one_plan, str(error)))
        else:
            done.append(one_plan)
    return visit.page("acted.html", 200 if not failed else 502, act=chosen, done=done, failed=failed)


def carry_out(visit: Visit, chosen: str, row: Row) -> None:
    """Release or delete one mail for one recipient, and write down who did."""
    may_do(visit, chosen, row)
    desk, who = visit.console.desk, visit.user.name
    if chosen == "release":
        desk.release(row.id, row.recipient, who)
    else:
        desk.delete(row.id, row.recipient, who)
    if chosen == "release" and visit.sent("alarm") == "false":
        desk.tell(FALSE_ALARM, row.id, false_alarm(row, who))
    visit.console.accounts.note(visit.user.name, visit.client, f"{chosen}d", f"{row.id} {row.recipient}")
