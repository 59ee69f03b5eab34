"""`Site`: what should be. One frozen value that every room compiles from."""

from __future__ import annotations

from pydantic import Field

from gatepost.site.base import Section
from gatepost.site.integrity import Integrity
from gatepost.site.mail import Mail
from gatepost.site.network import Host, Zone


class About(Section):
    """The name of the site and where Gatepost keeps what it must remember (`state`) and its sockets (`run`)."""

    name: str
    state: str = "/var/lib/gatepost"
    run: str = "/run/gatepost"


class Site(Section):
    """The whole site file."""

    site: About
    mail: Mail
    zones: dict[str, Zone] = Field(default_factory=dict)
    hosts: dict[str, Host] = Field(default_factory=dict)
    integrity: Integrity = Integrity()
