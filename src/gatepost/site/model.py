"""`Site`: what should be. One frozen value that every room compiles from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gatepost.site.base import FilePath, Section
from gatepost.site.console import Console
from gatepost.site.hold import Hold
from gatepost.site.integrity import Integrity
from gatepost.site.mail import Alerts, Canary, Engines, Journal, Mail, Metrics, Policy, Quarantine
from gatepost.site.network import Firewall, Flow, Host, Publish, Service, Translate, Zone
from gatepost.site.relay import Relay
from gatepost.site.report import Report
from gatepost.site.signatures import Brake, Retro, SignatureSet
from gatepost.site.storage import Storage
from gatepost.site.watch import Watch


class About(Section):
    """The name of the site and where Gatepost keeps what it must remember (`state`) and its sockets (`run`)."""

    name: str = Field(min_length=1)
    state: FilePath = "/var/lib/gatepost"
    run: FilePath = "/run/gatepost"


class Site(Section):
    """The whole site file."""

    site: About
    mail: Mail
    relay: Relay = Relay()
    zones: dict[str, Zone] = Field(default_factory=dict)
    hosts: dict[str, Host] = Field(default_factory=dict)
    services: dict[str, Service] = Field(default_factory=dict)
    flows: tuple[Flow, ...] = ()
    publish: tuple[Publish, ...] = ()
    translate: tuple[Translate, ...] = ()
    firewall: Firewall = Firewall()
    engines: Engines = Field(default_factory=dict, validate_default=True)
    policy: Policy = Policy()
    quarantine: Quarantine = Quarantine()
    alerts: Alerts = Alerts()
    journal: Journal = Journal()
    storage: Storage = Storage()
    canary: Canary = Canary()
    metrics: Metrics = Metrics()
    signatures: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], SignatureSet] = Field(default_factory=dict)
    retro: Retro = Retro()
    brake: Brake = Brake()
    integrity: Integrity = Integrity()
    console: Console = Console()
    report: Report = Report()
    watch: Watch = Watch()
    hold: Hold = Hold()

    @property
    def virusalerts(self) -> str:
        """Who hears of viruses when nobody is named: virusalerts at the first domain, as the trade expects."""
        return self.mail.virusalerts or f"virusalerts@{self.mail.domains[0]}"

    @property
    def postmaster(self) -> str:
        """The address that RFC 5321 4.5.1 demands; sender of what Gatepost itself writes."""
        return self.mail.postmaster or f"postmaster@{self.mail.domains[0]}"

    def next_hop(self, domain: str) -> str:
        """Where mail to `domain` goes on to, as written in the site file."""
        if domain in self.mail.domains:
            return self.mail.routes.get(domain, self.mail.next_hop)
        return self.mail.outbound or self.mail.next_hop
