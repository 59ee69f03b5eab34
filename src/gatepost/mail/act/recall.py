"""Mail that was delivered before its signature was known: which of it carries content that is known to be bad now. Pure.

What it does: goes through the events of judged mail, and asks about the digest of each mail and of each of its parts.
Not its job: who knows (`gatepost.services.retro` hands that in), what became of the mail since, telling anybody.
Raises: nothing; events of older versions, which name no parts, are judged by the digest of the whole mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gatepost.journal.event import Event

FOUND = "retro.found"
"""Kind of the journal's event that tells of a delivered mail with bad content; its subject is the id of the mail."""

Known = Callable[[str], tuple[str, str] | None]
"""Says under which name (engine, signature) content with this SHA-256 in hex is known to be bad, or None."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What is bad in a delivered mail: who says so, under which name, in which part (`file` is its name, "" without one)."""

    engine: str
    name: str
    part: str
    file: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A delivered mail that turned out to be bad, as its event tells it: who sent it when under which subject, what is bad, who got it."""

    sender: str
    subject: str
    at: float
    hits: tuple[Hit, ...]
    recipients: tuple[str, ...]


def look(events: Iterable[Event], known: Known) -> Iterator[tuple[Event, tuple[Hit, ...]]]:
    """Every judged mail with content that is known to be bad now, and what that is."""
    for event in events:
        hits = tuple(Hit(*found, part, file, digest) for part, file, digest in contents(event) if (found := known(digest)) is not None)
        if hits:
            yield event, hits


def contents(event: Event) -> Iterator[tuple[str, str, str]]:
    """Path, name and digest of a mail as a whole and of all its parts that were noted."""
    yield "", "", event.data["digest"]
    for part in event.data.get("parts", ()):
        yield part["path"], part["name"], part["digest"]
