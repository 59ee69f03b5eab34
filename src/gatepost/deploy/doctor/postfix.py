"""Checks of Postfix's own configuration: is our milter really called, and what happens when it is not there.

What it does: looks at the parameters that decide whether mail can pass unscanned. A misspelt `smtpd_milters` is a legal, unused
parameter to Postfix, and all mail passes in silence (postconf(5)).
Raises: nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from gatepost.deploy.doctor.check import Machine, Seen, error, well
from gatepost.site.base import Endpoint, parse_socket
from gatepost.site.model import Site

HOOK = "smtpd_milters"
OURS = (HOOK, "non_smtpd_milters", "milter_default_action", "milter_protocol", "content_filter", "smtpd_proxy_filter")
NEAR = 0.85
SAFE = frozenset({"tempfail", "reject", "shutdown"})


def milter_called(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether Postfix calls our milter, and holds mail when it cannot."""
    if machine.postfix is None or not site.mail.milter.listen:
        return
    names = _names(parse_socket(site.mail.milter.listen))
    wrong = [name for name, value in machine.postfix.items() if name != HOOK and _misspelt(name) and _is_ours(value, names)]
    for name in wrong:
        yield error(
            f"Postfix: {name} is no parameter, so that Postfix calls no milter and all mail passes unscanned", f"write {HOOK} instead"
        )
    if _is_ours(machine.postfix.get(HOOK, ""), names):
        yield _default_action(machine.postfix.get("milter_default_action", "tempfail"))


def _default_action(action: str) -> Seen:
    if action in SAFE:
        return well(f"Postfix calls our milter, and answers {action} when it cannot")
    return error(
        f"Postfix: milter_default_action = {action} passes all mail unscanned when the gateway is down",
        "postconf -e milter_default_action=tempfail",
    )


def _misspelt(name: str) -> bool:
    return name not in OURS and bool(difflib.get_close_matches(name, [HOOK], 1, NEAR))


def _names(place: Endpoint | str) -> tuple[str, ...]:
    """How Postfix may name our socket."""
    if isinstance(place, Endpoint):
        return (f"inet:{place.host}:{place.port}", f"inet:[{place.host}]:{place.port}", f"inet:localhost:{place.port}")
    return (f"unix:{place}", f"local:{place}")


def _is_ours(value: str, names: tuple[str, ...]) -> bool:
    return any(word.strip("{}") in names for word in value.replace(",", " ").split())
