"""The console section of the site file: where people reach it, and how long they stay logged in.

Not its job: accounts; they are made with `gatepost console user add` and never stand in the site file.
Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gatepost.site.base import Duration, FilePath, HostPort, Section
from gatepost.site.mail import KindName


class Oidc(Section):
    """Login at the organisation's own OpenID Connect provider; nobody logs in that way when `issuer` is empty.

    Its `claim` (like email or preferred_username) names an account that was made with `gatepost console user add`, or a user's mail address;
    the provider makes no accounts and gives no roles. The file `secret` holds our secret there, and nothing else.
    """

    issuer: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    client: str = ""
    secret: FilePath | None = None
    claim: str = "email"


class Console(Section):
    """The web console; nobody listens when `listen` is empty.

    `url` is how people reach it, for links in mails ("https://gatepost.widget.example"); http on the listening address when not given.
    Without `certificate` and `key` it should listen on the loopback only, behind a proxy that has them. A session ends after `idle` without a
    click and after `longest` in any case.
    """

    listen: HostPort | None = None
    url: str = Field(default="", pattern=r"^(https?://[^/\s]+)?$")
    certificate: FilePath | None = None
    key: FilePath | None = None
    idle: Duration = 1800.0
    longest: Duration = 43_200.0
    language: Literal["en", "de"] = "en"
    digest: dict[KindName, Duration] = Field(default_factory=dict)
    """How often recipients are told what is held for them, by the kind of finding, like spam = "1d"; kinds not named are not told."""
    oidc: Oidc = Oidc()
