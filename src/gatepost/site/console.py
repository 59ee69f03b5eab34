"""The console section of the site file: where people reach it, and how long they stay logged in.

Not its job: accounts; they are made with `gatepost console user add` and never stand in the site file.
Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gatepost.site.base import Duration, FilePath, HostPort, Section


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
