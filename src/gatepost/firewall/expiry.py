"""Closes what was allowed until a day, on the day after; nobody needs to apply anything.

What it does: compiles the confirmed declaration as it is on a day, and where a permission in the confirmed rules has ended, loads, proves
and keeps the rules without it, and ends its connections. This can only close, and was decided when the permission was declared; so it
waits for no confirmation.
Not its job: knowing when to look (`watch`).
Raises: `ApplyError` when the new rules cannot be proved: then the old ones stay; `NftError`, `SiteError`, OSError.
"""

from __future__ import annotations

import datetime as dt

from gatepost.firewall import nft
from gatepost.firewall.apply import Place, pending, proved
from gatepost.firewall.compile import TABLE, compile_policy, reload_text
from gatepost.firewall.confirmed import RULES, keep, kept_policy, kept_site
from gatepost.firewall.connections import end_forbidden
from gatepost.system.files import read


def close_expired(place: Place, day: dt.date) -> list[str]:
    """Close what has ended by that day; the names of the permissions. Nothing happens while a change waits to be confirmed."""
    site = kept_site(place.state)
    if site is None or pending(place):
        return []
    policy, rules = kept_policy(site, day), read(place.file(RULES)).decode()
    ended = [name for name in policy.expired if f'comment "{name}"' in rules]
    if ended:
        compiled = compile_policy(policy)
        proved(policy, nft.rehearse(reload_text(compiled, ())), "without what has expired; nothing was changed")
        nft.load(reload_text(compiled, nft.objects(nft.listing(place.namespace), TABLE)), place.namespace)
        keep(place.state, reload_text(compiled, ()).encode(), site)
        end_forbidden(policy, place.namespace)
    return ended
