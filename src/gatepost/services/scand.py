"""A scan worker: one mail at a time from the front, by descriptor; its verdict back.

What it does: wires the pipeline to the channel, and sees to it that a mail over its time ends this process and not the gateway.
Not its job: looking at the mail (`gatepost.mail.pipeline`), starting again (`supervisor`).
Raises: nothing; what goes wrong inside becomes an UNCHECKED finding, what goes wrong with the channel ends the worker.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from gatepost.mail.act.clean import Cleaned, CleanError, Order, clean
from gatepost.mail.model import Budget, BudgetError, Buffer, Direction, Envelope, Finding, Kind, Limits, Verdict
from gatepost.services.scanners import Job, Spoiled, decode_job, encode_cleaned, encode_verdict
from gatepost.services.stopwatch import Stopwatch
from gatepost.system.channel import Channel
from gatepost.system.sockets import connected

log = logging.getLogger(__name__)

Examine = Callable[[Buffer, Envelope, frozenset[Direction]], Verdict]

RECYCLE = 20_000
"""A worker makes room for a fresh one after so many mails, so that no leak in a foreign library grows for ever."""

PATIENCE, PAUSE = 30.0, 0.02
"""Seconds to wait for the front to listen, and between two attempts."""


def connect(path: Path) -> Channel:
    """Connect to the front, as soon as it listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return Channel(connected(path))
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE)


class _Leave:
    """What SIGTERM does: it ends a worker that waits at once, and one that works after its mail."""

    def __init__(self) -> None:
        self.busy = False
        self.asked = False
        signal.signal(signal.SIGTERM, self._now_or_soon)

    def _now_or_soon(self, _number: int, _frame: object) -> None:
        self.asked = True
        if not self.busy:
            raise SystemExit(0)


def work(channel: Channel, examine: Examine, seconds: float, watch: Stopwatch | None = None, limits: Limits | None = None) -> None:
    """Serve the front until it hangs up. A mail that takes longer than `seconds` kills this process; `watch` shows its time to others.

    `limits` are those of cleaning, the default ones when not given.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    leave, watch = _Leave(), watch or Stopwatch(math.inf)
    watch.stop()  # a worker before this one may have died with it running
    for _ in range(RECYCLE):
        frame = channel.receive()
        if frame is None:
            return
        leave.busy = True
        watch.start()
        payload, descriptor = frame
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = _answer(decode_job(payload), descriptor, examine, limits or Limits())
        signal.setitimer(signal.ITIMER_REAL, 0)
        channel.send(answer)
        watch.stop()
        leave.busy = False
        if leave.asked:
            return
    channel.close()


def _answer(job: Job, descriptor: int | None, examine: Examine, limits: Limits) -> bytes:
    if job.order is None:
        return encode_verdict(_one(job, descriptor, examine))
    return encode_cleaned(_clean(job, job.order, descriptor, limits))


def _clean(job: Job, order: Order, descriptor: int | None, limits: Limits) -> Cleaned | Spoiled:
    """Clean one mail. What the front gets is a copy, which nothing in here can change any more."""
    try:
        return clean(_content(descriptor, job.size), order, Budget(limits, cpu=time.process_time, wall=time.monotonic))
    except (CleanError, BudgetError) as error:
        return Spoiled(str(error))
    except Exception as error:
        log.exception("a mail of %d bytes could not be cleaned", job.size)
        return Spoiled(f"{type(error).__name__} in the scan worker")
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _one(job: Job, descriptor: int | None, examine: Examine) -> Verdict:
    try:
        raw = _content(descriptor, job.size)
        return examine(raw, job.envelope, job.directions)
    except Exception as error:
        log.exception("the scan of a mail of %d bytes failed", job.size)
        finding = Finding(Kind.UNCHECKED, "scanner-error", source="gatepost", detail=f"{type(error).__name__} in the scan worker")
        return Verdict(findings=(finding,), size=job.size)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _content(descriptor: int | None, size: int) -> bytes:
    """The mail's bytes, once: a map would stay in memory beside the copy that reading makes of it."""
    chunks = []
    at = 0
    while descriptor is not None and at < size:
        chunk = os.pread(descriptor, size - at, at)
        if not chunk:
            break
        chunks.append(chunk)
        at += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
