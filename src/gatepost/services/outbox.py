"""Handing mail over to the next hop of each recipient: what Gatepost writes itself, what it releases, what its proxy forwards.

What it does: chooses the next hop by the recipient's domain, as the site declares it.
Not its job: the dialogue (`mail.act.hop`), queueing.
Raises: `NotSentError` from `send` when a next hop did not take a mail.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace

from gatepost.mail.act.connection import Hop, Timeouts, Tls
from gatepost.mail.act.deliver import succeeded
from gatepost.mail.act.hop import SmtpHop, SmtpTransaction
from gatepost.mail.act.rewrite import Outgoing
from gatepost.mail.decide.direction import domain_of
from gatepost.mail.model import Envelope, Reply
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site

_TLS = {"none": Tls.NONE, "opportunistic": Tls.MAY, "required": Tls.REQUIRE, "verified": Tls.REQUIRE}


class NotSentError(Exception):
    """The next hop did not take the mail."""


def hop(site: Site, written: str) -> Hop:
    """The next hop as the site file writes it; a host of the site is reached by its first address, without DNS."""
    endpoint = parse_endpoint(written, 25)
    host = site.hosts[endpoint.host].addresses[0] if endpoint.host in site.hosts else endpoint.host
    smtp = site.mail.smtp
    timeouts = Timeouts(**smtp.timeouts.model_dump())
    return Hop(host, endpoint.port, socket.gethostname(), smtp.lmtp, _TLS[smtp.tls.policy], timeouts=timeouts)


class Routes:
    """All next hops of a site; satisfies `mail.act.deliver.NextHop`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._hops: dict[str, SmtpHop] = {}

    def begin(self, envelope: Envelope, forwarded: Mapping[str, str]) -> RoutedTransaction:
        """Begin a transaction whose recipients may go different ways."""
        return RoutedTransaction(self, envelope, forwarded)

    def to(self, recipient: str) -> SmtpHop:
        """The next hop for a recipient."""
        written = next_hop_of(self._site, recipient)
        if written not in self._hops:
            self._hops[written] = SmtpHop(hop(self._site, written))
        return self._hops[written]

    def close(self) -> None:
        """Close connections that wait for mail."""
        for one in self._hops.values():
            one.close()


class RoutedTransaction:
    """One mail on its way to one or several next hops; satisfies `mail.act.deliver.Transaction`."""

    def __init__(self, routes: Routes, envelope: Envelope, forwarded: Mapping[str, str]) -> None:
        self._routes = routes
        self._envelope = envelope
        self._forwarded = forwarded
        self._parts: dict[SmtpHop, SmtpTransaction] = {}

    async def recipient(self, address: str, parameters: tuple[str, ...] = ()) -> Reply:
        """Ask the recipient's next hop."""
        way = self._routes.to(address)
        if way not in self._parts:
            self._parts[way] = way.begin(self._envelope, self._forwarded)
        return await self._parts[way].recipient(address, parameters)

    async def deliver(self, outgoing: Outgoing, recipients: tuple[str, ...]) -> dict[str, Reply]:
        """Hand the mail on, one next hop after the other; gives every recipient's reply."""
        replies: dict[str, Reply] = {}
        for way, part in self._parts.items():
            mine = tuple(recipient for recipient in recipients if self._routes.to(recipient) is way)
            if mine:
                replies |= await part.deliver(outgoing, mine)
        return replies

    async def abandon(self) -> None:
        """Give up everywhere."""
        for part in self._parts.values():
            await part.abandon()


async def _send(site: Site, envelope: Envelope, content: bytes) -> dict[str, str]:
    routes = Routes(site)
    try:
        transaction = routes.begin(envelope, {})
        for number, recipient in enumerate(envelope.recipients):
            parameters = envelope.recipient_parameters[number] if number < len(envelope.recipient_parameters) else ()
            _demand(recipient, await transaction.recipient(recipient, parameters))
        replies = await transaction.deliver(Outgoing(content), envelope.recipients)
        for recipient, reply in replies.items():
            _demand(recipient, reply)
        return {recipient: f"{reply.code} {reply.status} {reply.text}" for recipient, reply in replies.items()}
    finally:
        routes.close()


def _demand(recipient: str, reply: Reply) -> None:
    if not succeeded(reply):
        raise NotSentError(f"{recipient}: {reply.code} {reply.status} {reply.text}")


async def _probe(site: Site, envelope: Envelope) -> Reply:
    routes = Routes(site)
    try:
        transaction = routes.begin(envelope, {})
        reply = await transaction.recipient(envelope.recipients[0], *envelope.recipient_parameters[:1])
        await transaction.abandon()
        return reply
    finally:
        routes.close()


def probe(site: Site, envelope: Envelope) -> Reply:
    """What the next hop says to sender and recipient of a mail for one, which is not sent then. Blocks; not for an event loop."""
    return asyncio.run(_probe(site, replace(envelope, sender_parameters=())))


def next_hop_of(site: Site, recipient: str) -> str:
    """Where mail to this recipient goes on to, as the site file writes it."""
    return site.mail.smtp.next_hop or site.next_hop(domain_of(recipient))


def send(site: Site, envelope: Envelope, content: bytes) -> dict[str, str]:
    """Hand a mail over and return when the next hop has answered 250: what it said for each recipient. Blocks. Raises NotSentError."""
    return asyncio.run(_send(site, replace(envelope, sender_parameters=()), content))
