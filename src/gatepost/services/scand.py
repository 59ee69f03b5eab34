"""A scan worker: one mail at a time from the front, by descriptor; its verdict back.

What it does: wires the pipeline to the channel, and sees to it that a mail over its time ends this process and not the gateway.
Not its job: looking at the mail (`gatepost.mail.pipeline`), starting again (`supervisor`).
Raises: nothing; what goes wrong inside becomes an UNCHECKED finding, what goes wrong with the channel ends the worker.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from gatepost.mail.model import Buffer, Direction, Envelope, Finding, Kind, Verdict
from gatepost.services.scanners import Job, decode_job, encode_verdict
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


def work(channel: Channel, examine: Examine, seconds: float) -> None:
    """Serve the front until it hangs up. A mail that takes longer than `seconds` kills this process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for _ in range(RECYCLE):
        frame = channel.receive()
        if frame is None:
            return
        payload, descriptor = frame
        signal.setitimer(signal.ITIMER_REAL, seconds)
        verdict = _one(decode_job(payload), descriptor, examine)
        signal.setitimer(signal.ITIMER_REAL, 0)
        channel.send(encode_verdict(verdict))
    channel.close()


def _one(job: Job, descriptor: int | None, examine: Examine) -> Verdict:
    try:
        raw = _mapped(descriptor, job.size)
        return examine(raw, job.envelope, job.directions)
    except Exception as error:
        log.exception("the scan of a mail of %d bytes failed", job.size)
        finding = Finding(Kind.UNCHECKED, "scanner-error", source="gatepost", detail=f"{type(error).__name__} in the scan worker")
        return Verdict(findings=(finding,), size=job.size)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _mapped(descriptor: int | None, size: int) -> Buffer:
    if descriptor is None or not size:
        return b""
    return memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ))
