"""Who gets mail here, where the site keeps a list.

Raises: `OSError` when the aliases file cannot be read; the site's check has read it before.
"""

from __future__ import annotations

from gatepost.site.aliases import read_aliases
from gatepost.site.model import Site


def known_recipients(site: Site) -> frozenset[str] | None:
    """All recipients in lower case, whole addresses and local parts; None when the site keeps no list."""
    recipients = site.mail.recipients
    if recipients.verify != "list":
        return None
    aliases = read_aliases(recipients.aliases) if recipients.aliases else {}
    return frozenset(address.lower() for address in recipients.addresses) | frozenset(aliases)
