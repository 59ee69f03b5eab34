"""What keeps mail waiting, said in the log once a minute and not once a mail.

What it does: one line for each cause when it begins, then one a minute with the number of mails that it has held up since.
Not its job: alerts by mail (`teller`), the single mail (`gatepost.journal`).
Raises: nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.mail.model import Finding

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two lines about the same cause."""

CAUSES = 1_000
"""So many causes are told apart; they come from engines and limits, never from what a mail says."""


@dataclass(slots=True)
class _Said:
    at: float
    since: int = 0


class Complaints:
    """The causes that were told lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], _Said] = {}

    def waits(self, identifier: str, finding: Finding) -> None:
        """A mail is put off because of `finding`."""
        now = self._clock()
        said = self._said.get((finding.source, finding.name))
        if said is not None and now - said.at < INTERVAL:
            said.since += 1
            return
        more = f"; {said.since} more waited since the last line" if said and said.since else ""
        log.warning("mail %s waits: %s of %s: %s%s", identifier, finding.name, finding.source, finding.detail, more)
        if len(self._said) < CAUSES:
            self._said[finding.source, finding.name] = _Said(now)
