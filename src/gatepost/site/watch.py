"""The watch section of the site file: lines whose outages are written down.

Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gatepost.site.base import Duration, HostPort, Section


class Watch(Section):
    """Lines that are tried with a TCP connection, so that outages stand on the page for management. Off when `lines` is empty.

    `lines` gives each a name: `internet = "198.51.100.53:53"`, a place that the firewall lets this machine reach.
    """

    lines: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")], HostPort] = Field(default_factory=dict)
    interval: Duration = 60.0
    """How often each is tried; two failures in a row are an outage."""
    patience: Duration = 5.0
    """How long an answer may take."""
