"""What the console needs of others, as interfaces: somebody who acts for it, and somebody who knows how the gateway is.

Not its job: doing it; `gatepost.services.consoled` asks the keeper, tests bring their own.
Raises: `DeskError` from every method, with a sentence for the person who asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class DeskError(Exception):
    """It was not done, and why."""


@dataclass(frozen=True, slots=True)
class Light:
    """How the gateway is: whether all is well, one sentence, scan workers that live, mails that wait, mails sent away for overload."""

    well: bool
    sentence: str
    workers: int = 0
    waiting: int = 0
    overloaded: int = 0


class Desk(Protocol):
    """Who acts on mail."""

    def release(self, identifier: str, recipient: str, by: str) -> None:
        """Deliver a kept mail to one of its recipients; `by` is the person who decided."""
        ...

    def delete(self, identifier: str, recipient: str, by: str) -> None:
        """Delete a kept mail for one of its recipients."""
        ...

    def light(self) -> Light:
        """How the gateway is now; a gateway that does not answer is a light that is not well."""
        ...
