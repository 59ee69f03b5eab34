"""From the site to the parts of a scan worker: engines in their slots, limits, the examination itself.

Not its job: checking the site (`gatepost.site`), scanning (`gatepost.mail.pipeline`).
Raises: `EngineError` when an engine cannot be made.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.mail.inspect import registry
from gatepost.mail.inspect.runner import Role, Slot
from gatepost.mail.inspect.schedule import Scheduler
from gatepost.mail.model import Buffer, Direction, Envelope, Limits, Verdict
from gatepost.mail.pipeline import examine
from gatepost.services.scand import Examine
from gatepost.site.mail import Engine
from gatepost.site.model import Site


def limits(site: Site) -> Limits:
    """What one mail may cost at this site."""
    return Limits(**site.mail.limits.model_dump())


def preload(site: Site) -> None:
    """Load what all workers share; call it once, before they are forked. Raises EngineError."""
    for name, engine in site.engines.items():
        if engine.enabled:
            registry.preload(engine.kind or name, engine.options)


def scheduler(site: Site) -> Scheduler:
    """Make all engines of the site, in the worker that will ask them. Raises EngineError."""
    slots = [_slot(site, name, engine) for name, engine in site.engines.items() if engine.enabled]
    return Scheduler(slots, quorum=site.policy.quorum if site.policy.combine == "quorum" else 1)


def _slot(site: Site, name: str, engine: Engine) -> Slot:
    made = registry.make(engine.kind or name, name, engine.options)
    directions = frozenset(Direction(direction) for direction in engine.directions)
    return Slot(made, _role(site, name, engine), engine.deadline, directions)


def _role(site: Site, name: str, engine: Engine) -> Role:
    if engine.role == "advisory":
        return Role.ADVISORY
    return Role.QUORUM if site.policy.combine == "quorum" and engine.votes(name) else Role.REQUIRED


def examination(site: Site) -> Examine:
    """The work of one scan worker, ready to go. Raises EngineError."""
    engines, budget = scheduler(site), limits(site)

    def work(raw: Buffer, envelope: Envelope, directions: frozenset[Direction]) -> Verdict:
        return examine(raw, envelope, directions, engines, budget)

    return work


def readable(site: Site) -> tuple[Path, ...]:
    """Files and folders that engines name in their options, and so may read."""
    options = [value for engine in site.engines.values() if engine.enabled for value in engine.options.values()]
    texts = [text for value in options for text in (value if isinstance(value, list | tuple) else (value,)) if isinstance(text, str)]
    return tuple(Path(text) for text in texts if text.startswith("/"))


def needs_network(site: Site) -> bool:
    """Whether an engine is reached by TCP, so that its workers cannot be without a network."""
    sockets = [engine.options.get("socket") for engine in site.engines.values() if engine.enabled]
    return any(isinstance(socket, str) and not socket.startswith("unix:") for socket in sockets)
