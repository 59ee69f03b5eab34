"""The storage section of the site file: where the journal is.

Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

import re
import socket
from typing import Annotated

from pydantic import AfterValidator, Field

from gatepost.site.base import Section

_POSTGRESQL = re.compile(r"postgres(?:ql)?://(?:[^/@]*@)?[^@]*")


def parse_storage(text: str) -> str:
    """The URL of a PostgreSQL database without a password in it, or "" for SQLite in the state folder."""
    if text and not _POSTGRESQL.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the URL of a PostgreSQL database; write postgresql://USER@HOST/DATABASE, or leave it out for SQLite"
        )
    if re.match(r"[^/]*//[^/@]*:[^/@]*@", text) or "password=" in text:
        raise ValueError("a password must not stand in the site file; write it to a file and add ?passfile=/etc/gatepost/pgpass to the URL")
    return text


class Storage(Section):
    """Where the journal is kept: in a file of the state folder (SQLite), or in PostgreSQL, which several nodes can share."""

    url: Annotated[str, AfterValidator(parse_storage)] = ""
    """`postgresql://gatepost@db.widget.example/gatepost?sslmode=verify-full`; empty for SQLite in the state folder."""
    node: str = Field(default="", pattern=r"^[a-z0-9.-]{0,63}$")
    """The name under which this machine writes to PostgreSQL; its host name when empty. No two machines may have the same."""

    @property
    def name(self) -> str:
        """The name of this node."""
        return self.node or socket.gethostname().lower()
