"""When each risk is there: pure questions to an assessment, whose answers are the details that the register shows.

Not its job: what a risk means (`known`), its state (`risks`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from gatepost.assess import interview, score
from gatepost.assess.model import Assessment

Details = tuple[str, ...]
Sign = Callable[[Assessment], Details | None]
"""The details (maybe none) of a risk that is there, None for one that is not."""

HERE: Details = ()
MANY = 25
"""Per cent of sheets from which something is a habit."""


def answer(question: str, *values: str) -> Sign:
    """There when the answer is one of these."""
    return lambda found: HERE if found.is_(question, *values) else None


def unanswered(question: str) -> Sign:
    """There as long as nobody answered."""
    return lambda found: None if found.answers.get(question) else HERE


def either(*signs: Sign) -> Sign:
    """There when one of these is; with the details of all."""

    def sign(found: Assessment) -> Details | None:
        details = [told for one in signs if (told := one(found)) is not None]
        return tuple(text for told in details for text in told) if details else None

    return sign


def always(_found: Assessment) -> Details | None:
    """There until somebody notes that it is done."""
    return HERE


def sheets(name: str, *values: str, percent: int = 0) -> Sign:
    """There when more than so many per cent of the employees who answered gave one of these answers."""

    def sign(found: Assessment) -> Details | None:
        count, asked = score.share(found.sheets, name, *values)
        return (f"{count} of {asked} employees",) if count and 100 * count > percent * asked else None

    return sign


def low_literacy(found: Assessment) -> Details | None:
    """There when employees do badly with computers."""
    literacy = score.literacy(found.sheets)
    return (f"{literacy.score} of 100 points, {literacy.sheets} employees asked",) if literacy.level == "low" else None


def not_asked(found: Assessment) -> Details | None:
    """There while questions are open, or no employee was asked."""
    left = len(interview.left(found))
    told = [f"{left} questions have no answer"] if left else []
    return (*told, *([] if found.sheets else ["no employee was asked"])) or None


def alone(found: Assessment) -> Details | None:
    """There when a machine is a single point of failure."""
    return tuple(f"{one.machine}: {', '.join((*one.duties, *one.data))}" for one in score.alone(found)) or None


def without_reason(kind: str) -> Sign:
    """There when somebody has a privilege of this kind and nobody said why."""

    def sign(found: Assessment) -> Details | None:
        return tuple(f"{one.person}: {one.on}" for one in score.privileges(found) if one.kind == kind and not one.why) or None

    return sign


def same_mta(found: Assessment) -> Details | None:
    """There when relay and internal server run the same program."""
    relay = found.text("mta-relay")
    return (f"both run {relay}",) if relay and relay != "other" and relay == found.text("mta-server") else None


def exposed_value(found: Assessment) -> Details | None:
    """There when data of high value stand behind one firewall only."""
    valuable = tuple(f"{row['what']} on {row['where']}" for row in found.rows("data") if row["value"] == "high")
    return valuable if valuable and not found.is_("second-layer", "yes") else None


def own_mail(found: Assessment) -> Details | None:
    """There when the company hosts its mail, or is about to."""
    return HERE if found.is_("mail-now", "own") or found.is_("host-own-mail", "yes") else None


def leftovers(found: Assessment) -> Details | None:
    """There when somebody with rights has left, or was dismissed for what he did."""
    if not (found.is_("predecessor", "yes") or found.is_("dismissed", "yes")):
        return None
    names = found.text("predecessor-account")
    return (f"accounts: {names}",) if names else ("nobody wrote down the account names",)


def provider_mail(found: Assessment) -> Details | None:
    """There when mailboxes stay at the provider."""
    return HERE if found.is_("mail-now", "provider") and not found.is_("host-own-mail", "yes") else None


def one_relay(found: Assessment) -> Details | None:
    """There when mail may not be away for a day, but there is one relay."""
    return HERE if found.is_("mail-outage", "hour") else None
