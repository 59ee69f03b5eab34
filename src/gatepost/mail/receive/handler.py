"""What the receiving side asks of the rest: the one interface between protocols and judgement.

Not its job: any protocol. A `Handler` is given by `gatepost.services`; tests give a scripted one.
Raises: nothing. Whatever a handler raises, the server answers with a temporary failure.
"""

from __future__ import annotations

from typing import Protocol

from gatepost.mail.model import Answer, Envelope, Reply
from gatepost.mail.receive.spool import Spool


class Handler(Protocol):
    """Judges mail for a server. Called on the server's event loop."""

    async def recipient(self, envelope: Envelope, recipient: str) -> Reply | None:
        """Say why this recipient is refused, or None to take it. `envelope` holds what is known so far."""
        ...

    async def message(self, envelope: Envelope, spool: Spool) -> Answer:
        """Judge a whole mail. The caller keeps `spool` open until this returns and closes it afterwards."""
        ...
