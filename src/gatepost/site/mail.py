"""The mail side of the site: domains, next hops, relay rights, engines, policy, quarantine, alerts, journal.

Not its job: what an engine makes of its own options (`gatepost.mail.engines`), or any decision (`gatepost.mail.decide`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from gatepost.site.base import Address, Domain, Duration, FilePath, HostPort, Network, Section, Size, Socket

KindName = Literal["virus", "banned", "spam", "suspect", "ambiguous", "encrypted", "unchecked"]
DirectionName = Literal["inbound", "outbound", "internal"]
DispositionName = Literal["deliver", "deliver-cleaned", "quarantine", "reject", "tempfail"]

DIRECTIONS: tuple[DirectionName, ...] = ("inbound", "outbound", "internal")
ANTIVIRUS = frozenset({"clamav", "command", "icap", "libclamav", "yara"})
"""Kinds of engines whose word on viruses can be a vote."""
EMBEDDED_ENGINES = ("yara", "banned", "hashes")


class Milter(Section):
    """The milter listener for Postfix and Sendmail; none when `listen` is empty."""

    listen: Socket | None = None
    mode: str = Field(default="0660", pattern=r"^0?[0-7]{3}$")
    """Permissions of a Unix socket, octal."""
    group: str = ""
    """Group of a Unix socket, so that the MTA can reach it."""


class Tls(Section):
    """TLS of one side: `policy` is for the connection to the next hop, certificate and key are for our listener."""

    certificate: FilePath | None = None
    key: FilePath | None = None
    policy: Literal["none", "opportunistic", "required", "verified"] = "opportunistic"


class Smtp(Section):
    """The SMTP filter: before-queue proxy (the next hop's answer is ours) or content filter between two queues."""

    listen: HostPort | None = "127.0.0.1:10025"
    mode: Literal["proxy", "filter"] = "proxy"
    next_hop: HostPort | None = None
    """Where all mail of this listener goes; the routes by domain when not given."""
    lmtp: bool = False
    trusted: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """Peers that may send XFORWARD and XCLIENT."""
    tls: Tls = Tls()


class UnpackLimits(Section):
    """What one mail may cost; the fields of `mail.budget.Limits`."""

    depth: int = Field(default=32, ge=1)
    parts: int = Field(default=10_000, ge=1)
    bytes: Size = 256 * 1024**2
    ratio: int = Field(default=250, ge=1)
    cpu: Duration = 4.0
    wall: Duration = 60.0


class Recipients(Section):
    """Who gets mail here. With "next-hop" the next hop is asked; nobody is ever guessed from the header."""

    verify: Literal["none", "list", "next-hop"] = "next-hop"
    addresses: tuple[Address, ...] = ()
    aliases: FilePath | None = None
    """A file in the form of /etc/aliases; its left sides are recipients."""


class Mail(Section):
    """Which domains are ours and where their mail goes on to; `next_hop` is `host:port`, a host of the site or an address."""

    domains: tuple[Domain, ...] = Field(min_length=1)
    next_hop: HostPort
    routes: dict[Domain, HostPort] = Field(default_factory=dict)
    """The next hop of single domains."""
    outbound: HostPort | None = None
    """Where mail to other people's domains goes; `next_hop` when not given, since proxies stand before one MTA."""
    relay_from: tuple[str, ...] = ()
    """Zones whose hosts may send mail to other people's domains. The machine itself always may."""
    size_limit: Size = 50 * 1024**2
    postmaster: Address | None = None
    virusalerts: Address | None = None
    workers: int = Field(default=0, ge=0)
    """Scan workers; 0 is one per processor."""
    milter: Milter = Milter()
    smtp: Smtp = Smtp()
    limits: UnpackLimits = UnpackLimits()
    recipients: Recipients = Recipients()


class Engine(Section):
    """One engine. Keys besides these belong to the engine and are checked by it."""

    model_config = ConfigDict(extra="allow")

    kind: str = ""
    """The plug-in; the name of the section when not given."""
    enabled: bool = True
    role: Literal["required", "advisory"] = "required"
    """Whether a mail stays unchecked when this engine does not look."""
    deadline: Duration = 30.0
    directions: tuple[DirectionName, ...] = DIRECTIONS

    def votes(self, name: str) -> bool:
        """Whether this engine, whose section is called `name`, is one of a quorum."""
        return self.role == "required" and (self.kind or name) in ANTIVIRUS

    @property
    def options(self) -> dict[str, object]:
        """The keys that belong to the engine."""
        return dict(self.model_extra or {})


class Rule(Section):
    """One line of the policy: where all that is given matches, `then` happens. Nothing given matches everything."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    directions: tuple[DirectionName, ...] = DIRECTIONS
    zones: tuple[str, ...] = ()
    """Zones of the sending host."""
    recipients: tuple[str, ...] = ()
    """Patterns like *@widget.example."""
    findings: tuple[KindName, ...] = Field(min_length=1)
    names: tuple[str, ...] = ()
    """Patterns for the finding's name, like Win.*"""
    then: DispositionName
    tag: str = Field(default="", max_length=40, pattern=r"^[\x20-\x7e]*$")
    """Put before the subject of a mail that is delivered."""
    reason: str = ""
    unscanned: bool = False
    """Must be true in a rule that delivers viruses or mail that nobody could check."""


class Spam(Section):
    """Points of spam (the highest score any engine gives) from which a mail is tagged and held."""

    tag: float = 5.0
    hold: float = 15.0
    subject: str = Field(default="", max_length=40, pattern=r"^[\x20-\x7e]*$")
    """Put before the subject of tagged mail; with none there is a header only, which leaves DKIM signatures valid."""


class Policy(Section):
    """What happens to findings: rules in order, then the safe defaults."""

    combine: Literal["any", "quorum"] = "any"
    quorum: int = Field(default=1, ge=1)
    """With combine = "quorum": how many required antivirus engines must call a mail a virus for it to be one."""
    spam: Spam = Spam()
    rules: tuple[Rule, ...] = ()


class Quarantine(Section):
    """What is kept of stopped mail, how long and how much."""

    encrypt: bool = True
    keep: Duration = 30 * 86_400.0
    size: Size = 10 * 1024**3


class Alerts(Section):
    """Who is told. At most one mail an interval, with counts; `second` is told when nobody has looked after `escalate`."""

    to: tuple[Address, ...] = ()
    """Also told besides mail.virusalerts."""
    interval: Duration = 900.0
    webhook: str | None = Field(default=None, pattern=r"^https?://\S+$")
    second: Address | None = None
    escalate: Duration = 86_400.0


class Journal(Section):
    """How long events are kept."""

    keep: Duration = 400 * 86_400.0


class Metrics(Section):
    """Where Prometheus may ask; nowhere when `listen` is empty."""

    listen: HostPort | None = None


def _with_embedded(given: object) -> object:
    """Put the embedded engines before those of the file, so that a site of five lines scans."""
    return {name: {} for name in EMBEDDED_ENGINES} | given if isinstance(given, dict) else given


Engines = Annotated[dict[str, Engine], BeforeValidator(_with_embedded)]
