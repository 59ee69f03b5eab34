"""The mail side of the site: domains, next hops, relay rights, engines, policy, quarantine, alerts, journal.

Not its job: what an engine makes of its own options (`gatepost.mail.engines`), or any decision (`gatepost.mail.decide`).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from gatepost.site.base import Address, Domain, Duration, FilePath, HostPort, Listener, Network, Section, Size, Socket

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
    """Where the MTA reaches us."""
    mode: str = Field(default="0660", pattern=r"^0?[0-7]{3}$")
    """Permissions of a Unix socket, octal."""
    group: str = ""
    """Group of a Unix socket, so that the MTA can reach it."""


class Tls(Section):
    """TLS of one side: `policy` is for the connection to the next hop, certificate and key are for our listener."""

    certificate: FilePath | None = None
    key: FilePath | None = None
    policy: Literal["none", "opportunistic", "required", "verified"] = "opportunistic"


class HopTimeouts(Section):
    """How long a next hop may take for each step; the defaults are those of RFC 5321 4.5.3.2, but for connecting."""

    connect: Duration = Field(default=30.0, gt=0)
    greeting: Duration = Field(default=300.0, gt=0)
    command: Duration = Field(default=300.0, gt=0)
    """EHLO, MAIL, RCPT and the like."""
    data: Duration = Field(default=120.0, gt=0)
    """Until it is ready to take the mail."""
    block: Duration = Field(default=180.0, gt=0)
    """Until it reads on, in the midst of a mail."""
    final: Duration = Field(default=600.0, gt=0)
    """Until it answers for the whole mail. Who gives up earlier than it does may send a mail twice."""


class Smtp(Section):
    """The SMTP filter. It is a before-queue proxy, or a content filter between two queues: the next hop's answer is ours in both."""

    listen: Listener = "127.0.0.1:10025"
    """Where mail is taken; nowhere when it is "", for sites with a milter only."""
    next_hop: HostPort | None = None
    """Where all mail of this listener goes; the routes by domain when not given."""
    lmtp: bool = False
    """Whether the next hop speaks LMTP."""
    trusted: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """Peers that may send XFORWARD and XCLIENT."""
    tls: Tls = Tls()
    timeouts: HopTimeouts = HopTimeouts()


class UnpackLimits(Section):
    """What one mail may cost, as `mail.budget.Limits` counts it. What passes a limit was not looked at: UNCHECKED, and held."""

    depth: int = Field(default=32, ge=1)
    """Containers within containers."""
    parts: int = Field(default=10_000, ge=1)
    """Parts and files in it."""
    bytes: Size = 100 * 1024**2
    """Of everything that comes out of its containers."""
    ratio: int = Field(default=250, ge=1)
    """How many times larger than packed one container may get, from 32 MiB on."""
    cpu: Duration = 4.0
    """Processor time for reading and unpacking."""
    wall: Duration = 60.0
    """Time for everything, engines included."""


class Recipients(Section):
    """Who gets mail here. With "next-hop" the next hop is asked; nobody is ever guessed from the header."""

    verify: Literal["none", "list", "next-hop"] = "next-hop"
    addresses: tuple[Address, ...] = ()
    aliases: FilePath | None = None
    """A file in the form of /etc/aliases; its left sides are recipients."""


class Mail(Section):
    """Which domains are ours and where their mail goes on to; `next_hop` is `host:port`, a host of the site or an address."""

    domains: tuple[Domain, ...] = Field(min_length=1)
    """Our own domains; mail to them is inbound."""
    next_hop: HostPort
    """Where accepted mail goes on to."""
    routes: dict[Domain, HostPort] = Field(default_factory=dict)
    """The next hop of single domains."""
    outbound: HostPort | None = None
    """Where mail to other people's domains goes; `next_hop` when not given, since proxies stand before one MTA."""
    relay_from: tuple[str, ...] = ()
    """Zones whose hosts may send mail to other people's domains. The machine itself always may."""
    size_limit: Size = 50 * 1024**2
    """Larger mail is refused."""
    postmaster: Address | None = None
    """Sender of what Gatepost writes itself; postmaster at the first domain when not given."""
    virusalerts: Address | None = None
    """Who hears of what was stopped; virusalerts at the first domain when not given."""
    workers: int = Field(default=0, ge=0)
    """Scan workers; 0 is one more than processors: one is kept for small mails, so that large ones still have every processor."""
    milter: Milter = Milter()
    smtp: Smtp = Smtp()
    limits: UnpackLimits = UnpackLimits()
    recipients: Recipients = Recipients()

    def scan_workers(self, processors: int) -> int:
        """How many scan workers there are on a machine with so many processors."""
        return self.workers or processors + 1


class Engine(Section):
    """One engine. Keys besides these belong to the engine and are checked by it."""

    model_config = ConfigDict(extra="allow")

    kind: str = ""
    """The plug-in; the name of the section when not given."""
    enabled: bool = True
    """Whether it is asked at all."""
    role: Literal["required", "advisory"] = "required"
    """Whether a mail stays unchecked when this engine does not look."""
    deadline: Duration = 30.0
    """How long it may take for one mail."""
    directions: tuple[DirectionName, ...] = DIRECTIONS
    licence_until: dt.date | None = None
    """The last day of its licence; an alarm comes 30 days and 7 days before, and when it is over."""

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
    points: float = Field(default=0.0, ge=0)
    """Of spam: the rule is for so many points and more. Below policy.spam.tag no rule is asked."""
    then: DispositionName
    """What happens."""
    tag: str = Field(default="", max_length=40, pattern=r"^[\x20-\x7e]*$")
    """Put before the subject of a mail that is delivered."""
    reason: str = ""
    """Why the rule is there, for those who come after you."""
    unscanned: bool = False
    """Must be true in a rule that delivers viruses or mail that nobody could check."""


class Spam(Section):
    """Points of spam (the highest score any engine gives) from which a mail is tagged and held."""

    tag: float = 5.0
    """From so many points on a mail is marked."""
    hold: float = 15.0
    """From so many points on it goes to quarantine."""
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
    """Whether kept mail is encrypted on the disk."""
    keep: Duration = 30 * 86_400.0
    """How long a stopped mail is kept."""
    size: Size = 10 * 1024**3
    """How much is kept at most; the oldest goes first."""


class Channel(Section):
    """One more way of being told, for alerts of some weight: addresses, a webhook, or both."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    to: tuple[Address, ...] = ()
    """Told by mail."""
    webhook: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Gets counts as JSON."""
    least: Literal["info", "warning", "critical"] = "warning"
    """From which weight on: info is what was dealt with as meant, critical what endangers the promise."""
    interval: Duration = 900.0
    """The time between two messages, at least."""


class Alerts(Section):
    """Who is told. At most one mail an interval, with counts; `second` is told when nobody has looked after `escalate`.

    Somebody has looked when gatepost alerts ack, or the console, says so.
    """

    to: tuple[Address, ...] = ()
    """Also told besides mail.virusalerts."""
    interval: Duration = 900.0
    """The time between two alert mails, at least."""
    webhook: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Gets the same counts as JSON."""
    second: Address | None = None
    """Who is told when nobody has looked."""
    escalate: Duration = 86_400.0
    """How long nobody may look."""
    channels: tuple[Channel, ...] = ()


class Journal(Section):
    """How long events are kept."""

    keep: Duration = 400 * 86_400.0


class Canary(Section):
    """The live canary: every `interval` a mail with the EICAR test file and a clean one go through the real listener, and reach nobody."""

    enabled: bool = True
    interval: Duration = 900.0
    through: HostPort | None = None
    """An MTA that calls our milter, like 127.0.0.1:25; canaries go through it as well."""
    outside: Address = "canary@outside.invalid"
    """A recipient outside for the self-test's canary on the way out; an address that the next hop takes. Nobody ever gets it."""


class Metrics(Section):
    """Where Prometheus may ask; nowhere when `listen` is empty."""

    listen: HostPort | None = None


def _with_embedded(given: object) -> object:
    """Put the embedded engines before those of the file, so that a site of five lines scans."""
    return {name: {} for name in EMBEDDED_ENGINES} | given if isinstance(given, dict) else given


Engines = Annotated[dict[str, Engine], BeforeValidator(_with_embedded)]
