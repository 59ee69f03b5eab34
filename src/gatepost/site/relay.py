"""The relay's own part of the site: which MTA, its name, other milters, TLS, submission, limits.

Not its job: domains, next hops, recipients and relay rights, which all ways of receiving share (`site.mail`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gatepost.site.base import Domain, Duration, FilePath, HostPort, Rate, RateLimit, Section, Socket

ANY_ADDRESS = ("0.0.0.0:25", "[::]:25")


class ForeignMilter(Section):
    """A milter of somebody else in the row, such as OpenDKIM or SpamAssassin's.

    `place` says on which side of Gatepost it stands: what verifies signatures comes before, what signs comes after.
    `required` says what happens while it is silent: mail waits, or goes on without it. Gatepost itself is always required.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    socket: Socket
    place: Literal["before", "after"] = "after"
    required: bool = True


class RelayTls(Section):
    """TLS with the world. With a certificate it is offered to senders; `policy` is for connections to other people's servers."""

    certificate: FilePath | None = None
    key: FilePath | None = None
    policy: Literal["none", "opportunistic", "required", "verified"] = "opportunistic"


class Submission(Section):
    """Authenticated submission (RFC 6409), only over TLS; off without a `socket` of Dovecot's SASL service."""

    listen: tuple[HostPort, ...] = ("0.0.0.0:587", "[::]:587")
    socket: Socket | None = None


class Flood(Section):
    """What one sending host may do, and how fast the internal server is fed. Hosts of the relaying zones are not limited by rates."""

    connections: int = Field(default=20, ge=1)
    """Open at a time from one address."""
    rate: Rate = RateLimit(60, 60)
    """New connections of one address."""
    messages: Rate = RateLimit(100, 60)
    """Mails of one address."""
    recipients: Rate = RateLimit(300, 60)
    """Recipients of one address."""
    processes: int = Field(default=100, ge=2)
    """Sessions of all senders together."""
    deliveries: int = Field(default=5, ge=1)
    """Connections to the internal server at a time."""
    pause: Duration = 0.0
    """Pause between two deliveries to the internal server; none when 0."""


class Relay(Section):
    """The MTA that Gatepost writes the configuration of."""

    mta: Literal["postfix", "sendmail"] = "postfix"
    hostname: Domain | None = None
    """Its name in greetings and in DNS; relay.<first domain> when not given."""
    listen: tuple[HostPort, ...] = ANY_ADDRESS
    milters: tuple[ForeignMilter, ...] = ()
    tls: RelayTls = RelayTls()
    submission: Submission = Submission()
    limits: Flood = Flood()
    postscreen: bool = False
    """Whether Postfix's postscreen(8) stands before it and turns away zombies that talk too early."""
    keep: Duration = 5 * 86_400.0
    """How long mail waits for a server that is down."""
