"""Signatures and engines: how old, whether certified, how each look ended, how often each signature hits, which are braked; and undoing one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gatepost.console.desk import DeskError, Hit
from gatepost.console.visit import Refused, Visit
from gatepost.journal.event import Event
from gatepost.journal.rows import JUDGED
from gatepost.signatures.update import OLD, STALE

NEWEST = 200
"""Mails that are counted."""
CERTIFIED = "engine.certified"
CERTIFICATES = 200
BRAKE = ("signatures.braked", "signatures.undone", "signatures.redone")
REMEMBERED = 300.0
"""Seconds for which the ages of signatures are not asked again."""


def show(visit: Visit) -> Response:
    """Each engine with its signatures, certificate and work; each signature that stands alone, with its rate and what was done about it."""
    hits, trouble = hits_of(visit)
    return visit.page(
        "engines.html",
        rows=engines(visit),
        mails=len(visit.console.journal.newest(JUDGED, NEWEST)),
        ages=ages(visit),
        old=OLD,
        stale=STALE,
        hits=hits,
        trouble=trouble,
        steps=sorted((event for kind in BRAKE for event in visit.console.journal.newest(kind, 20)), key=lambda event: -event.at),
    )


def engines(visit: Visit) -> list[dict[str, Any]]:
    """The declared engines and those that were, as the newest mails met them."""
    journal, declared = visit.console.journal, visit.console.site.engines
    work = _work(journal.newest(JUDGED, NEWEST))
    certificates = _certificates(journal.newest(CERTIFIED, CERTIFICATES))
    names = [*declared, *(name for name in work if name not in declared)]
    return [_engine(visit, name, work.get(name, {}), certificates.get(name)) for name in names]


def _engine(visit: Visit, name: str, work: Mapping[str, Any], certificate: Event | None) -> dict[str, Any]:
    section = visit.console.site.engines.get(name)
    role = "no longer declared" if section is None else section.role if section.enabled else "switched off"
    return {
        "name": name,
        "role": role,
        "deadline": section.deadline if section else 0.0,
        "version": work.get("version", ""),
        "signatures": work.get("signatures", ""),
        "ends": dict(work.get("ends", {})),
        "slowest": work.get("slowest", 0.0),
        "certificate": certificate and {"at": certificate.at, **certificate.data},
    }


def _work(events: list[Event]) -> dict[str, dict[str, Any]]:
    """How each engine's looks at these mails, newest first, ended."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        for one in event.data["engines"]:
            new = {"version": one["version"], "signatures": one["signatures"], "ends": Counter(), "slowest": 0.0}
            seen = found.setdefault(one["name"], new)
            seen["ends"][one["state"]] += 1
            seen["slowest"] = max(seen["slowest"], one["seconds"])
    return found


def _certificates(events: list[Event]) -> dict[str, Event]:
    """The newest certificate of each engine."""
    return {event.subject: event for event in reversed(events)}


def ages(visit: Visit) -> Mapping[str, float]:
    """Seconds since the signatures of each engine and set were made."""
    now = visit.console.now()
    asked, found = visit.console.memory.get("ages", (0.0, {}))
    if now - asked > REMEMBERED:
        asked, found = now, visit.console.desk.ages()
        visit.console.memory["ages"] = (asked, found)
    return {name: seconds + now - asked for name, seconds in found.items()}


def hits_of(visit: Visit) -> tuple[tuple[Hit, ...], str]:
    """How often each signature stood alone; or why nobody can say."""
    try:
        return visit.console.desk.hits(), ""
    except DeskError as error:
        return (), str(error)


def judge(visit: Visit) -> Response:
    """Undo a signature, or let it count again."""
    told = carry_out(visit, visit.sent("act"), visit.sent("engine"), visit.sent("name"))
    return visit.page("judged.html", **told)


def carry_out(visit: Visit, act: str, engine: str, name: str) -> dict[str, Any]:
    """What was done: for how many mail was released, and for whom it was not and why."""
    if act not in {"undo", "redo"} or not engine or not name:
        raise Refused(400, visit.words("There is no such deed."))
    if (engine, name) not in {(hit.engine, hit.name) for hit in visit.console.desk.hits()}:
        raise Refused(404, visit.words("This signature has not stood alone lately; there is nothing to undo."))
    released: tuple[int, tuple[str, ...]] = (0, ())
    if act == "undo":
        released = visit.console.desk.undo(engine, name, visit.user.name)
    else:
        visit.console.desk.redo(engine, name, visit.user.name)
    visit.console.accounts.note(visit.user.name, visit.client, f"signature {act}", f"{engine} {name}")
    return {"act": act, "engine": engine, "name": name, "released": released[0], "failed": list(released[1])}
