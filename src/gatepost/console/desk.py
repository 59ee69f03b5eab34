"""What the console needs of others, as interfaces: somebody who acts for it, and somebody who knows how the gateway is.

Not its job: doing it; `gatepost.services.consoled` asks the keeper, tests bring their own.
Raises: `DeskError` from every method, with a sentence for the person who asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gatepost.firewall.declare import Policy
from gatepost.firewall.ruleset import Ruleset


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


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a release would do: hand `size` bytes with this digest to `next_hop`, from `sender` to `recipient` and to nobody else.

    `answer` is what the next hop says to it now ("" when it was not asked), `taken` whether that is a yes. `others` stay as they are.
    """

    sender: str
    recipient: str
    digest: str
    size: int
    next_hop: str
    answer: str
    taken: bool
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One signature: mails that it alone hit lately, all mails of that time, its usual hits, and whether it is braked or undone ("" if not)."""

    engine: str
    name: str
    hits: int
    mails: int
    usual: float
    mode: str


class Desk(Protocol):
    """Who acts on mail, and on what else the console shows."""

    def forecast(self, identifier: str, recipient: str, *, probe: bool = True) -> Forecast:
        """What a release would do; with `probe` the next hop is asked whether it would take this mail's sender and recipient."""
        ...

    def release(self, identifier: str, recipient: str, by: str) -> None:
        """Deliver a kept mail to one of its recipients; `by` is the person who decided."""
        ...

    def delete(self, identifier: str, recipient: str, by: str) -> None:
        """Delete a kept mail for one of its recipients."""
        ...

    def tell(self, kind: str, subject: str, data: dict[str, object]) -> None:
        """Have something written into the journal that is not a step of a mail."""
        ...

    def post(self, recipient: str, content: bytes) -> None:
        """Send a mail of our own to one of our recipients."""
        ...

    def hits(self) -> tuple[Hit, ...]:
        """Every signature that stood alone lately, or is braked or undone."""
        ...

    def undo(self, engine: str, name: str, by: str) -> tuple[int, tuple[str, ...]]:
        """Let a signature not count any more; gives how many got mail that only it held, and who did not and why."""
        ...

    def redo(self, engine: str, name: str, by: str) -> None:
        """Let a signature count again."""
        ...

    def ages(self) -> Mapping[str, float]:
        """Seconds since the signatures of each engine and set were made."""
        ...

    def ruleset(self, policy: Policy) -> Ruleset:
        """The rules that are written for this policy, as a kernel takes them."""
        ...

    def accept(self, numbers: frozenset[int], by: str, why: str) -> list[str]:
        """Accept findings of the newest integrity report by their numbers; gives the paths."""
        ...

    def light(self) -> Light:
        """How the gateway is now; a gateway that does not answer is a light that is not well."""
        ...


class ProviderError(Exception):
    """The organisation's own provider did not prove who somebody is."""


class Provider(Protocol):
    """Login at a provider of the organisation; raises `ProviderError`, with a sentence for the person who logs in."""

    def begin(self, back: str) -> tuple[str, str]:
        """Where to send the browser, and the state that it must bring `back`."""
        ...

    def finish(self, state: str, code: str, back: str) -> str:
        """The name of the account that the provider vouches for."""
        ...
