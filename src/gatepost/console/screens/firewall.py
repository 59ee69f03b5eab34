"""The firewall: the declared policy in words and as a matrix, its proof, questions to it, what was refused, and whether it drifted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from gatepost.console.desk import DeskError
from gatepost.console.visit import Refused, Visit
from gatepost.firewall.ask import QuestionError, answer_data, ask
from gatepost.firewall.attempts import Attempt, attempts, chosen, dropped, scanners, totals
from gatepost.firewall.declare import DeclarationError, Policy, declare
from gatepost.firewall.document import drawing, policy_rows
from gatepost.firewall.prove import prove
from gatepost.firewall.ruleset import Ruleset
from gatepost.firewall.telling import proof_data
from gatepost.journal.event import Event
from gatepost.report.charts import Bar, bars

PROVED, DRIFTED = "firewall.proved", "firewall.drifted"
CHANGES = ("firewall.applied", "firewall.confirmed", "firewall.rolledback")
ENDS = ("source", "destination", "service")
"""The three words of a question."""
DAYS = 14
"""Days in the chart of what was refused."""
RECENT = 86_400.0
"""Seconds of which attempts are told one by one."""
SHOWN = 25

_DRAWING = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The drawing brings its own style, and is shown as a picture, in which nothing runs."""


def show(visit: Visit) -> Response:
    """The definitive list of what may pass, why, and who answers for it; how it fares; the answer to a question in the address."""
    given = {name: visit.asked(name) for name in ENDS}
    if not any(given.values()) or not visit.console.site.zones:
        return _page(visit, **given)
    try:
        return _page(visit, answer=answer(visit, **given), **given)
    except (Refused, DeskError) as error:
        return _page(visit, problem=str(error), **given)


def _page(visit: Visit, **values: Any) -> Response:
    if not visit.console.site.zones:
        return visit.page("firewall.html", policy=None)
    policy = policy_of(visit)
    matrix = {pair: list(dict.fromkeys(one.service for item in items for one in item.traffic)) for pair, items in policy.pairs().items()}
    days = _days(visit)
    answered = {"answer": None, "problem": ""} | values
    return visit.page(
        "firewall.html",
        policy=policy,
        rows=policy_rows(policy),
        zones=("firewall", *policy.zones),
        matrix=matrix,
        state=state(visit),
        tried=tried(visit),
        chart=bars([Bar(day, (("stopped", count),)) for day, count in days]),
        refused=sum(count for _day, count in days),
        **answered,
    )


def policy_of(visit: Visit) -> Policy:
    """The declared network. It is declared once; the date decides what has expired."""
    today = datetime.fromtimestamp(visit.console.now(), UTC).date()
    memory: dict[object, Policy] = visit.console.memory.setdefault("policy", {})
    if today not in memory:
        try:
            made = declare(visit.console.site, today)
        except DeclarationError as error:
            said = "; ".join(what for _where, what, _remedy in error.problems)
            raise Refused(409, f"The network of the site file is not right: {said}. gatepost site check says more.") from None
        memory.clear()
        memory[today] = made
    return memory[today]


def rows_of(visit: Visit) -> list[dict[str, str]]:
    """The policy as a table; nothing where no network is declared."""
    return policy_rows(policy_of(visit)) if visit.console.site.zones else []


def state(visit: Visit) -> dict[str, Event | None]:
    """The newest proof, the newest drift that no proof has followed, and the newest change of the rules."""
    journal = visit.console.journal
    proved = next(iter(journal.newest(PROVED, 1)), None)
    drifted = next(iter(journal.newest(DRIFTED, 1)), None)
    changes = [event for kind in CHANGES for event in journal.newest(kind, 1)]
    applied = max(changes, key=lambda event: event.at, default=None)
    later = max((event.at for event in (proved, applied) if event), default=0.0)
    return {"proved": proved, "drifted": drifted if drifted and drifted.at > later else None, "changed": applied}


def tried(visit: Visit) -> dict[str, Any]:
    """What was refused in the last day: by what and from whom, most first, and who scanned."""
    since = visit.console.now() - RECENT
    rows = [row for row in attempts(visit.console.journal, since) if row.event != "access"]
    return {
        "rows": [
            {**asdict(_newest(rows, key)), "count": count} for key, count in totals(rows, "zone", "source", "service", "kind")[:SHOWN]
        ],
        "services": totals(rows, "service")[:SHOWN],
        "inside": sorted({row.source for row in rows if row.source and row.zone in _inner(visit)}),
        "scans": [{"source": event.subject, "at": event.at, **event.data} for event in scanners(visit.console.journal, since)],
        "dropped": dict(dropped(visit.console.journal, since)),
    }


def _newest(rows: list[Attempt], key: tuple[str, ...]) -> Attempt:
    zone, source, service, kind = key
    return max(chosen(rows, zone=zone, source=source, service=service, kind=kind), key=lambda row: row.at)


def _inner(visit: Visit) -> set[str]:
    """Zones of our own, from where nobody should try what is refused."""
    return {name for name, zone in visit.console.site.zones.items() if not zone.external}


def _days(visit: Visit) -> list[tuple[str, int]]:
    """Refused packets of each of the last days. What a day before today had does not change, so it is counted once."""
    memory: dict[datetime, int] = visit.console.memory.setdefault("refused", {})
    today = datetime.fromtimestamp(visit.console.now()).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    for day in days:
        if day not in memory or day == today:
            memory[day] = _refused(visit, day)
    return [(day.strftime("%d %b"), memory[day]) for day in days]


def _refused(visit: Visit, day: datetime) -> int:
    until = day + timedelta(days=1)
    found: Counter[str] = dropped(visit.console.journal, day.timestamp(), until.timestamp())
    return sum(found.values())


def prove_again(visit: Visit) -> Response:
    """Prove the written rules now."""
    proved_now(visit)
    return visit.go("/firewall")


def proved_now(visit: Visit) -> dict[str, Any]:
    """Prove the written rules, and have the result written down with its date."""
    if not visit.console.site.zones:
        raise Refused(404, visit.words("This site declares no network."))
    found = {**proof_data(prove(policy_of(visit), ruleset(visit))), "of": "written"}
    visit.console.desk.tell(PROVED, "firewall", found)
    visit.console.accounts.note(visit.user.name, visit.client, "proved the firewall")
    return found


def answer(visit: Visit, source: str, destination: str, service: str) -> dict[str, Any]:
    """Verdict, rule, reason and owner for one question."""
    if not visit.console.site.zones:
        raise Refused(404, visit.words("This site declares no network."))
    if not (source and destination and service):
        raise Refused(400, visit.words("Ask with three words: from, to, service."))
    try:
        found = ask(policy_of(visit), ruleset(visit), source, destination, service)
    except QuestionError as error:
        raise Refused(400, str(error)) from None
    return answer_data(found) | {"limits": list(found.limits), "families": list(found.families)}


def ruleset(visit: Visit) -> Ruleset:
    """The rules as written; they are made once for a policy."""
    policy = policy_of(visit)
    kept: tuple[Policy, Ruleset] | None = visit.console.memory.get("ruleset")
    if kept is None or kept[0] is not policy:
        kept = policy, visit.console.desk.ruleset(policy)
        visit.console.memory["ruleset"] = kept
    return kept[1]


def picture(visit: Visit) -> Response:
    """The network as a drawing."""
    if not visit.console.site.zones:
        raise Refused(404, visit.words("This site declares no network."))
    return Response(drawing(policy_of(visit)), media_type="image/svg+xml", headers={"Content-Security-Policy": _DRAWING})
