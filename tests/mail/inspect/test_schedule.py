"""Who looks at a mail: silence, errors and hanging become findings, never "clean"."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from gatepost.mail.inspect.engine import EngineError, EngineInfo, EngineTimeoutError
from gatepost.mail.inspect.runner import STUCK_THREADS, Role, Slot
from gatepost.mail.inspect.schedule import Scheduler
from gatepost.mail.model import Budget, Direction, EngineState, Envelope, Finding, Kind, Limits, Message

MESSAGE = Message(b"Subject: x\r\n\r\n", plain=True)
ENVELOPE = Envelope("", ("b@example.com",))
VIRUS = Finding(Kind.VIRUS, "X", source="scripted")


class Scripted:
    """An engine that does what it is told."""

    def __init__(self, name: str = "scripted", act: Callable[[], object] = tuple, *, local: bool = False) -> None:
        self.name = name
        self.local = local
        self.act = act
        self.asked = 0

    def info(self) -> EngineInfo:
        return EngineInfo("Scripted 1", "7")

    def inspect(self, message: Message, envelope: Envelope, deadline: float):
        self.asked += 1
        return self.act()


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


def budget(wall: float = 60.0) -> Budget:
    return Budget(Limits(wall=wall), time.process_time, time.monotonic)


def inspect(*engines: Scripted, seconds: float = 5.0):
    return Scheduler([Slot(engine, seconds=seconds) for engine in engines]).inspect(MESSAGE, ENVELOPE, budget())


@pytest.mark.parametrize("local", [True, False])
def test_an_answer_is_passed_on_with_a_report(local: bool):
    """Findings and versions of the engine come out as they went in."""
    done = inspect(Scripted(act=lambda: (VIRUS,), local=local))
    clean = inspect(Scripted(local=local))

    assert done.findings == (VIRUS,)
    assert (done.reports[0].name, done.reports[0].version, done.reports[0].signatures) == ("scripted", "Scripted 1", "7")
    assert done.reports[0].state is EngineState.FOUND
    assert clean.findings == ()
    assert clean.reports[0].state is EngineState.CLEAN


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    "error", [EngineError("down"), OSError(5, "io"), ValueError("bug"), MemoryError(), RecursionError(), ZeroDivisionError()]
)
def test_whatever_an_engine_raises_leaves_unchecked(local: bool, error: Exception):
    """An engine that raises has not looked, and the finding says who and why."""
    done = inspect(Scripted(act=raising(error), local=local), Scripted("other"))
    (finding,) = done.findings

    assert (finding.kind, finding.name, finding.source) == (Kind.UNCHECKED, "engine-failed", "scripted")
    assert type(error).__name__ in finding.detail


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("garbage", [None, True, "clean", b"OK", 0, [None], ({},), (Finding("clean", "X"),), {"virus"}])
def test_garbage_leaves_unchecked(local: bool, garbage: object):
    """An answer that is no list of findings is no answer."""
    done = inspect(Scripted(act=lambda: garbage, local=local))

    assert [(finding.kind, finding.name) for finding in done.findings] == [(Kind.UNCHECKED, "engine-failed")]


def test_an_engine_that_gives_up_in_time_is_a_time_out():
    """EngineTimeoutError is reported as a time-out and rests the engine like one."""
    done = inspect(Scripted(act=raising(EngineTimeoutError("slow"))))

    assert done.findings[0].name == "engine-timeout"
    assert done.reports[0].state is EngineState.TIMEOUT


def test_a_hanging_engine_holds_nobody_up():
    """A thread that never comes back is left behind: the mail is UNCHECKED, the other engines' findings are there."""
    release = threading.Event()
    done = inspect(Scripted("stuck", release.wait), Scripted("other", lambda: (VIRUS,)), seconds=0.05)
    release.set()

    assert {finding.name for finding in done.findings} == {"engine-timeout", "X"}


def test_a_late_answer_never_belongs_to_a_later_mail():
    """What a stuck thread says about the mail before is not taken for the answer on the next one."""
    release = threading.Event()
    engine = Scripted(act=lambda: release.wait() and ())
    now = [0.0]
    scheduler = Scheduler([Slot(engine, seconds=0.05)], clock=lambda: time.monotonic() + now[0])
    first = scheduler.inspect(MESSAGE, ENVELOPE, budget())
    engine.act = lambda: (VIRUS,)
    now[0] = 100.0
    release.set()
    second = scheduler.inspect(MESSAGE, ENVELOPE, budget())

    assert first.findings[0].name == "engine-timeout"
    assert second.findings == (VIRUS,)


def test_a_time_out_rests_the_engine_and_then_it_is_tried_again():
    """While it rests the engine is not asked and mail is UNCHECKED; after that one mail tries it and finds it well."""
    hang = threading.Event()
    engine = Scripted(act=hang.wait)
    now = [0.0]
    scheduler = Scheduler([Slot(engine, seconds=0.05)], clock=lambda: time.monotonic() + now[0])
    names = [scheduler.inspect(MESSAGE, ENVELOPE, budget()).findings[0].name for _ in range(3)]
    asked_while_resting = engine.asked
    engine.act = tuple
    now[0] = 100.0
    well = scheduler.inspect(MESSAGE, ENVELOPE, budget())
    hang.set()

    assert names == ["engine-timeout", "engine-not-asked", "engine-not-asked"]
    assert asked_while_resting == 1
    assert well.findings == ()


def test_hanging_threads_are_bounded():
    """However long an engine hangs, no more than a few threads hang with it."""
    hang = threading.Event()
    engine = Scripted(act=hang.wait)
    now = [0.0]
    scheduler = Scheduler([Slot(engine, seconds=0.2)], clock=lambda: time.monotonic() + now[0])
    for _ in range(STUCK_THREADS + 3):
        assert scheduler.inspect(MESSAGE, ENVELOPE, budget()).findings[0].kind is Kind.UNCHECKED
        now[0] += 1000
    hang.set()

    assert engine.asked == STUCK_THREADS


def test_without_time_left_nobody_is_asked_and_nothing_is_clean():
    """A mail that has used up its time is UNCHECKED by every engine."""
    engine = Scripted(local=True)
    done = Scheduler([Slot(engine)]).inspect(MESSAGE, ENVELOPE, Budget(Limits(wall=0.0), lambda: 0.0, lambda: 0.0))

    assert [(finding.kind, finding.name) for finding in done.findings] == [(Kind.UNCHECKED, "engine-not-asked")]
    assert engine.asked == 0


def test_an_engine_sees_mail_of_its_directions_only():
    """An engine for inbound mail is skipped on outbound mail without holding it, and asked when a mail goes both ways."""
    engine = Scripted(act=lambda: (VIRUS,))
    scheduler = Scheduler([Slot(engine, directions=frozenset({Direction.INBOUND}))])
    out = scheduler.inspect(MESSAGE, ENVELOPE, budget(), frozenset({Direction.OUTBOUND}))
    both = scheduler.inspect(MESSAGE, ENVELOPE, budget(), frozenset({Direction.OUTBOUND, Direction.INBOUND}))

    assert (out.findings, out.reports[0].state) == ((), EngineState.SKIPPED)
    assert both.findings == (VIRUS,)


def test_waiting_engines_work_side_by_side_with_local_ones():
    """Two engines that wait for each other and for the local one all finish: none runs after another."""
    barrier = threading.Barrier(3, timeout=5)

    def meet() -> tuple[Finding, ...]:
        barrier.wait()
        return ()

    done = inspect(Scripted("a", meet), Scripted("b", meet), Scripted("c", meet, local=True))

    assert done.findings == ()


def test_an_unknown_version_does_not_hold_mail():
    """An engine whose info fails but which looks is believed; the report has no version."""
    engine = Scripted()
    engine.info = raising(EngineError("busy"))
    done = inspect(engine)

    assert done.findings == ()
    assert done.reports[0].version == ""


def test_the_mail_is_let_go_after_the_answer():
    """No thread keeps the mail's bytes, or its spool would stay in memory until the next mail."""
    released = threading.Event()

    class Raw(bytes):
        def __del__(self) -> None:
            released.set()

    scheduler = Scheduler([Slot(Scripted())])
    scheduler.inspect(Message(Raw(b"x")), ENVELOPE, budget())

    assert released.wait(5)


def test_senseless_sets_are_refused():
    """Two engines of one name, and a quorum that cannot be reached, are errors."""
    with pytest.raises(EngineError, match="two engines"):
        Scheduler([Slot(Scripted()), Slot(Scripted())])
    with pytest.raises(EngineError, match="quorum"):
        Scheduler([Slot(Scripted(), Role.QUORUM)], quorum=2)


def test_however_long_an_engine_hung_it_is_asked_again_soon_after():
    """A rest that doubled without end would turn mail away for a minute after the engine is well."""
    now = [0.0]
    engine = Scripted(act=raising(EngineTimeoutError("slow")))
    scheduler = Scheduler([Slot(engine, seconds=2.0)], clock=lambda: now[0])

    def state() -> EngineState:
        now[0] += 0.5
        return scheduler.inspect(MESSAGE, ENVELOPE, budget()).reports[0].state

    during = [state() for _ in range(240)]
    engine.act = tuple
    after = [state() for _ in range(10)]

    assert set(during) == {EngineState.TIMEOUT, EngineState.SKIPPED}
    assert during.count(EngineState.TIMEOUT) < 40
    assert EngineState.CLEAN in after


def test_an_engine_that_does_not_tell_its_version_is_not_asked_for_it_with_each_mail():
    """The question costs time of the mail, and may cost all of it."""
    now = [0.0]
    asked = []
    engine = Scripted()
    engine.info = lambda: asked.append(now[0]) or raising(EngineError("silent"))()
    scheduler = Scheduler([Slot(engine)], clock=lambda: now[0])

    for _ in range(20):
        assert scheduler.inspect(MESSAGE, ENVELOPE, budget()).reports[0].state is EngineState.CLEAN
        now[0] += 0.5

    assert len(asked) == 2
