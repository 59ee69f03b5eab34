"""The mail side of the site: domains, next hops, relay rights, engines, policy, quarantine, alerts."""

from __future__ import annotations

from gatepost.site.base import Section


class Mail(Section):
    """Which domains are ours and where their mail goes on to; `next_hop` is `host:port`, a host of the site or an address."""

    domains: tuple[str, ...]
    next_hop: str
