"""A child process with limits: processor time, memory, file size, wall time, output; without network where the kernel allows it.

What it does: runs one program on bytes or on an open descriptor, gives back what it printed, and leaves no process behind.
Not its job: knowing what the program means by its answer.
Raises: nothing. A program that is missing, too slow or too loud is an `Outcome` whose `failure` says so.
"""

from __future__ import annotations

import io
import os
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

_PIECE = 1 << 16
_STDERR_MOST = 1 << 16
_NO_NETWORK = ("unshare", "--user", "--map-current-user", "--net", "--")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use: seconds of wall and processor time, bytes of address space, of one file and of output, processes of its user."""

    wall: float = 20.0
    cpu: int = 10
    memory: int = 1 << 30
    file_size: int = 256 << 20
    output: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended: exit status (negative: the signal), what it printed, and why it did not end by itself ("" when it did)."""

    status: int
    stdout: bytes
    stderr: bytes
    failure: str = ""


@cache
def find(program: str) -> str:
    """The path of a program, "" when it is not installed."""
    return shutil.which(program, path=_ENVIRONMENT["PATH"]) or ""


def run(command: Sequence[str], bounds: Bounds, *, stdin: bytes = b"", descriptors: Iterable[int] = ()) -> Outcome:
    """Run `command` in a session of its own; it and all it started are killed at the end. `descriptors` stay open in it under their numbers."""
    if not find(command[0]):
        return Outcome(127, b"", b"", f"the program {command[0]} is not installed")
    try:
        child = subprocess.Popen(
            [*_prefix(), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(descriptors),
            start_new_session=True,
            env=_ENVIRONMENT,
        )
    except OSError as error:
        return Outcome(126, b"", b"", f"the program {command[0]} cannot be started: {error.strerror}")
    try:
        _limit(child.pid, bounds)
        output, errors, failure = _talk(child, bounds, stdin)
    finally:
        _kill(child)
    return Outcome(child.returncode, output, errors, failure)


@cache
def _prefix() -> tuple[str, ...]:
    """The command that takes the network away, where it works; a jailed worker has none to take."""
    if not find(_NO_NETWORK[0]):
        return ()
    try:
        probe = subprocess.run([*_NO_NETWORK, "true"], check=False, capture_output=True, timeout=5, env=_ENVIRONMENT)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return () if probe.returncode else _NO_NETWORK


# A forked worker may go to jail: what worked in its parent says nothing about what works there.
os.register_at_fork(after_in_child=_prefix.cache_clear)


def _limit(pid: int, bounds: Bounds) -> None:
    for kind, value in (
        (resource.RLIMIT_CPU, bounds.cpu),
        (resource.RLIMIT_AS, bounds.memory),
        (resource.RLIMIT_FSIZE, bounds.file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.prlimit(pid, kind, (value, value))
        except (OSError, ValueError):
            return


def _talk(child: subprocess.Popen[bytes], bounds: Bounds, stdin: bytes) -> tuple[bytes, bytes, str]:
    """Feed and read a child until it closes its output, or a bound is passed."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    deadline = time.monotonic() + bounds.wall
    output, errors, failure = bytearray(), bytearray(), ""
    waiting = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, (output, bounds.output))
        selector.register(child.stderr, selectors.EVENT_READ, (errors, _STDERR_MOST))
        os.set_blocking(child.stdin.fileno(), False)
        selector.register(child.stdin, selectors.EVENT_WRITE)
        while selector.get_map() and not failure:
            ready = selector.select(max(deadline - time.monotonic(), 0))
            if not ready:
                failure = f"gave no answer within {bounds.wall:.0f} s"
            for key, _ in ready:
                if key.fileobj is child.stdin:
                    waiting = _feed(child.stdin.fileno(), waiting)
                    finished = not waiting
                else:
                    finished = not _take(key.fd, *key.data)
                if finished:
                    selector.unregister(key.fileobj)
                    _close(key.fileobj)
            if len(output) > bounds.output:
                failure = f"printed more than {bounds.output} bytes"
    return bytes(output), bytes(errors), failure or _wait(child, deadline)


def _take(descriptor: int, caught: bytearray, most: int) -> bool:
    """Read once; what is over `most` is dropped but for the byte that shows it. False at the end."""
    piece = os.read(descriptor, _PIECE)
    caught += piece[: max(0, most + 1 - len(caught))]
    return bool(piece)


def _close(stream: object) -> None:
    if isinstance(stream, io.IOBase):
        stream.close()


def _feed(descriptor: int, waiting: memoryview) -> memoryview:
    try:
        return waiting[os.write(descriptor, waiting[:_PIECE]) :]
    except BlockingIOError:
        return waiting
    except OSError:
        return waiting[len(waiting) :]


def _wait(child: subprocess.Popen[bytes], deadline: float) -> str:
    try:
        child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "closed its output but did not end"
    return ""


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the whole session of a child, and wait for the child."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except OSError:
        child.kill()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()
    child.wait()
