"""A verdict cache for one engine: the same content is not looked at twice under the same signatures.

What it does: remembers, by digest, what a content engine said about a piece, least recently used out first.
Not its job: engines that look at more than content; those cannot be wrapped.
Raises: what the engine raises.

Off unless asked for. Remembered are complete answers alone: a piece that is UNCHECKED is looked at again. New signatures or a new
version empty it; an engine that does not say which signatures it has is never remembered, since a change could not be seen.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from gatepost.mail.inspect.content import ContentEngine, Piece
from gatepost.mail.inspect.engine import EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message

INFO_SECONDS = 5.0  # how long after a change of signatures an old answer may still be given
_LEAST_BYTES = 64  # smaller pieces cost less to scan than to remember


class Cached:
    """An engine in front of another, with room for `size` answers. Belongs to one scan worker."""

    def __init__(self, engine: ContentEngine, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = engine.name
        self.local = engine.local
        self.hits = 0
        self.misses = 0
        self._engine = engine
        self._size = size
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self._info = EngineInfo("")
        self._info_until = float("-inf")

    def info(self) -> EngineInfo:
        """Ask the engine, and forget everything if its version or signatures have changed."""
        info = self._engine.info()
        if info != self._info:
            self._answers.clear()
        self._info, self._info_until = info, self._clock() + INFO_SECONDS
        return info

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Answer from memory where possible; ask the engine about the rest at once."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> Sequence[Piece]:
        """Choose what the engine would."""
        return self._engine.select(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Give the findings of all pieces, each with the path that it has in this mail."""
        if self._clock() >= self._info_until:
            self.info()
        if not self._info.signatures:
            return self._engine.look(pieces, deadline)
        digests = [_digest(piece) for piece in pieces]
        unknown = [piece for piece, digest in zip(pieces, digests, strict=True) if digest not in self._answers]
        self.hits += len(pieces) - len(unknown)
        self.misses += len(unknown)
        begun = self._info
        found = self._engine.look(unknown, deadline) if unknown else ()
        known = [finding for piece, digest in zip(pieces, digests, strict=True) for finding in self._recall(digest, piece.path)]
        if begun is self._info:  # otherwise this thread hung while another saw new signatures
            self._remember(zip(pieces, digests, strict=True), unknown, found)
        return (*known, *found)

    def _recall(self, digest: bytes, path: str) -> Iterable[Finding]:
        if digest not in self._answers:
            return ()
        self._answers.move_to_end(digest)
        return (replace(finding, part=path) for finding in self._answers[digest])

    def _remember(self, pieces: Iterable[tuple[Piece, bytes]], asked: Sequence[Piece], found: Sequence[Finding]) -> None:
        """Keep complete answers about pieces that were asked about; none when a finding cannot be told to belong to one piece."""
        paths = {piece.path for piece in asked}
        if len(paths) < len(asked) or any(finding.part not in paths for finding in found):
            return
        for piece, digest in pieces:
            answer = tuple(finding for finding in found if finding.part == piece.path)
            if digest and piece.path in paths and not any(finding.kind is Kind.UNCHECKED for finding in answer):
                self._answers[digest] = answer
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)


def _digest(piece: Piece) -> bytes:
    """What an answer is remembered by; nothing for a small piece."""
    if len(piece.data) < _LEAST_BYTES:
        return b""
    return hashlib.sha256(piece.data).digest() + (b"mail" if piece.as_mail else b"")
