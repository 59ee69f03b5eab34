"""The verdict cache: saves work, never an answer that is out of date or incomplete."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gatepost.mail.inspect import registry
from gatepost.mail.inspect.cache import INFO_SECONDS, Cached
from gatepost.mail.inspect.content import Piece, everything
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message, Part

CLEAN, VIRUS, UNSEEN = b"c" * 100, b"v" * 100, b"u" * 100


class Counting:
    """A content engine that counts what it is asked, and knows three contents."""

    name = "counting"
    local = True

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.signatures = "1"

    def info(self) -> EngineInfo:
        return EngineInfo("Counting 1", self.signatures)

    def select(self, message: Message) -> Sequence[Piece]:
        return everything(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        self.asked += [bytes(piece.data) for piece in pieces]
        kinds = {VIRUS: Kind.VIRUS, UNSEEN: Kind.UNCHECKED}
        return tuple(Finding(kinds[piece.data], "X", piece.path, self.name) for piece in pieces if piece.data in kinds)

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        return self.look(self.select(message), deadline)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Counting:
    return Counting()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cached(engine: Counting, clock: Clock) -> Cached:
    return Cached(engine, 10, clock)


def inspect(cached: Cached, number: int, *contents: bytes) -> list[tuple[Kind, str]]:
    parts = tuple(Part(str(at), content) for at, content in enumerate(contents, number))
    found = cached.inspect(Message(b"header %03d" % number * 20, parts), Envelope("", ()), 0.0)
    return [(finding.kind, finding.part) for finding in found]


def test_known_content_is_not_looked_at_again(cached: Cached, engine: Counting):
    """The attachments of a campaign are looked at once; the findings carry the path of the mail at hand."""
    assert inspect(cached, 1, CLEAN, VIRUS) == [(Kind.VIRUS, "2")]
    assert inspect(cached, 5, CLEAN, VIRUS) == [(Kind.VIRUS, "6")]
    assert engine.asked.count(CLEAN) == engine.asked.count(VIRUS) == 1
    assert (cached.hits, cached.misses) == (2, 4)


def test_new_signatures_forget_everything_in_time(cached: Cached, engine: Counting, clock: Clock):
    """After a change of signatures content is looked at again, at the latest when the engine's word on them has run out."""
    inspect(cached, 1, CLEAN)
    engine.signatures = "2"
    clock.now = INFO_SECONDS
    inspect(cached, 2, CLEAN)

    assert engine.asked.count(CLEAN) == 2


def test_unchecked_content_is_looked_at_again(cached: Cached, engine: Counting):
    """What the engine could not see is never remembered as clean, nor as unchecked."""
    assert inspect(cached, 1, UNSEEN) == [(Kind.UNCHECKED, "1")]
    assert inspect(cached, 2, UNSEEN) == [(Kind.UNCHECKED, "2")]
    assert engine.asked.count(UNSEEN) == 2


def test_without_a_signature_mark_nothing_is_remembered(cached: Cached, engine: Counting):
    """An engine that does not say which signatures it has could change them unseen."""
    engine.signatures = ""
    inspect(cached, 1, CLEAN)
    inspect(cached, 2, CLEAN)

    assert engine.asked.count(CLEAN) == 2


def test_the_cache_is_bounded_and_keeps_what_is_used(engine: Counting):
    """The least recently used answer goes first."""
    cached = Cached(engine, 3)
    for number in range(20):
        cached.look([Piece("1", CLEAN), Piece("2", b"%d" % number * 100)], 0.0)

    assert engine.asked.count(CLEAN) == 1
    assert len(cached._answers) == 3


def test_two_parts_of_one_path_are_not_mixed_up(cached: Cached, engine: Counting):
    """Two readings may share a path; a finding then cannot be told to belong to one content, and neither is remembered."""
    cached.look([Piece("1", CLEAN), Piece("1", VIRUS)], 0.0)

    assert cached.look([Piece("1", CLEAN)], 0.0) == ()
    assert engine.asked.count(CLEAN) == 2


def test_the_registry_puts_a_cache_in_front_on_request(tmp_path):
    """`verdict_cache` works for content engines, and is refused for others and for nonsense."""
    assert isinstance(registry.make("yara", options={"verdict_cache": 5}), Cached)
    assert not isinstance(registry.make("yara", options={"verdict_cache": 0}), Cached)
    with pytest.raises(EngineError, match="more than content"):
        registry.make("banned", options={"verdict_cache": 5})
    with pytest.raises(EngineError, match="whole number"):
        registry.make("yara", options={"verdict_cache": "many"})
