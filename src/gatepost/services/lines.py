"""The watch over lines: whether the Internet, or whatever the site names, can be reached; what is told is when that changed.

What it does: tries a TCP connection to each named place; two failures in a row are a line that is down.
Not its job: what is written where (`watchd`); counting minutes (`report.perimeter`).
Raises: nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from gatepost.report.perimeter import DOWN, UP
from gatepost.services.messages import Note
from gatepost.site.base import parse_endpoint
from gatepost.site.watch import Watch

FAILURES = 2
"""So many failures in a row make a line down: one lost packet is none."""


@dataclass(slots=True)
class Lines:
    """What is known of each line: failures in a row, and which are told to be down."""

    watch: Watch
    failures: dict[str, int] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def seen(self, name: str, *, answers: bool) -> Note | None:
        """What to write down, when something changed."""
        self.failures[name] = 0 if answers else self.failures.get(name, 0) + 1
        if answers and name in self.down:
            self.down.discard(name)
            return Note(UP, name, {"place": self.watch.lines[name]})
        if name not in self.down and self.failures[name] >= FAILURES:
            self.down.add(name)
            return Note(DOWN, name, {"place": self.watch.lines[name]})
        return None

    def look(self) -> Iterator[Note]:
        """Try every line once."""
        for name, place in self.watch.lines.items():
            note = self.seen(name, answers=reaches(place, self.watch.patience))
            if note is not None:
                yield note


def reaches(place: str, patience: float) -> bool:
    """Whether a connection to host:port is taken; one that is refused reached somebody too."""
    endpoint = parse_endpoint(place)
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=patience).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
