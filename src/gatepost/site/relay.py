"""The relay's own part of the site: which MTA, its name, other milters, DKIM, TLS, submission, limits.

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
    `task` says what it does to mail; when not given, the name tells: dkim, arc or sign in it is a signer, or a verifier before Gatepost.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    socket: Socket
    place: Literal["before", "after"] = "after"
    required: bool = True
    task: Literal["filter", "verify", "sign"] | None = None

    def does(self) -> Literal["filter", "verify", "sign"]:
        """Its task, by its name when none is given."""
        if self.task is not None:
            return self.task
        if not any(word in self.name for word in ("dkim", "arc", "sign")):
            return "filter"
        return "verify" if self.place == "before" else "sign"


class Dkim(Section):
    """DKIM signatures (RFC 6376) on mail of our own domains, by OpenDKIM last in the row of milters; none without a `selector`."""

    selector: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """Names the key in DNS: <selector>._domainkey.<domain>. `gatepost relay dkim-key` makes the key and prints the record."""
    key: FilePath | None = None
    """The private key; /etc/dkimkeys/<selector>.private when not given."""
    socket: Socket = "127.0.0.1:8891"
    """Where OpenDKIM listens. For a Unix socket the MTA's user must be in the group opendkim."""

    def path(self) -> str:
        """Where the private key lies."""
        return self.key or f"/etc/dkimkeys/{self.selector}.private"


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
    dkim: Dkim = Dkim()
    tls: RelayTls = RelayTls()
    submission: Submission = Submission()
    limits: Flood = Flood()
    postscreen: bool = False
    """Whether Postfix's postscreen(8) stands before it and turns away zombies that talk too early."""
    keep: Duration = 5 * 86_400.0
    """How long mail waits for a server that is down."""
