"""Closes what was allowed until a day, on the day after; nobody needs to apply anything.

What it does: compiles the confirmed declaration as it is on a day, and where a permission in the confirmed rules has ended, loads, proves
and keeps the rules without it, and ends its connections. This can only close, and was decided when the permission was declared; so it
waits for no confirmation. There is no rehearsal in an empty network first, because the watch has no right to make one.
Not its job: knowing when to look (`watch`).
Raises: `ApplyError` when the new rules cannot be proved: then the old ones are back; `NftError`, `SiteError`, OSError.
"""

from __future__ import annotations

import datetime as dt

from gatepost.firewall import nft
from gatepost.firewall.apply import ApplyError, Place, pending, proved
from gatepost.firewall.compile import TABLE, compile_policy, reload_text
from gatepost.firewall.confirmed import RULES, keep, kept_policy, kept_site
from gatepost.firewall.connections import end_forbidden
from gatepost.firewall.settle import refill
from gatepost.system.files import read


def close_expired(place: Place, day: dt.date) -> list[str]:
    """Close what has ended by that day; the names of the permissions. Nothing happens while a change waits to be confirmed."""
    site = kept_site(place.state)
    if site is None or pending(place):
        return []
    policy, rules = kept_policy(site, day), read(place.file(RULES)).decode()
    ended = [name for name in policy.expired if f'comment "{name}"' in rules]
    if ended:
        text = reload_text(compile_policy(policy), ())
        _replace(place, text)
        try:
            proved(policy, nft.listing(place.namespace), "without what has expired; the rules before are back")
        except ApplyError:
            _replace(place, rules)
            raise
        keep(place.state, text.encode(), site)
        end_forbidden(policy, place.namespace)
    return ended


def _replace(place: Place, rules: str) -> None:
    """Load whole rules over those that are loaded, in one transaction."""
    nft.load(refill(rules, nft.objects(nft.listing(place.namespace), TABLE)), place.namespace)
