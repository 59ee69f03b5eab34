"""Starts the prober at a vantage point: here, in a network namespace, or on another host over ssh.

Not its job: what is tried (`outside`, `lab`), trying it (`labworker`).
Raises: `VantageError` when the prober cannot be started there or does not answer.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from gatepost.firewall import labworker, nft


class VantageError(Exception):
    """Nothing can be tried from there."""


def here(namespace: str = "") -> list[str]:
    """The prober on this host, or in a named namespace of it."""
    return [*nft.inside(namespace), sys.executable, str(Path(labworker.__file__))]


def far(host: str) -> list[str]:
    """The prober on another host; it needs ssh with a key, and Python 3.10 there."""
    text = Path(labworker.__file__).read_text(encoding="utf-8")
    return ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", host, shlex.join(["python3", "-c", text])]


def begin(command: list[str], task: dict[str, object]) -> subprocess.Popen[str]:
    """Start the prober with its task."""
    try:
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise VantageError(f"{error.filename} is not installed") from None
    assert started.stdin
    started.stdin.write(json.dumps(task) + "\n")
    started.stdin.flush()
    return started


def listener(command: list[str], name: str, places: list[tuple[str, str, int]]) -> subprocess.Popen[str]:
    """Answer with a name on every (address, kind, port), until the process is killed."""
    started = begin(command, {"do": "listen", "name": name, "places": places})
    assert started.stdout
    if started.stdout.readline() != "ready\n":
        raise VantageError(f"the listener of {name} did not start; is one of its ports in use?")
    return started


def finish(started: subprocess.Popen[str]) -> Any:
    """What the prober found."""
    text, _ = started.communicate()
    if started.returncode:
        raise VantageError(f"the prober ended with status {started.returncode}; what it said stands above")
    return json.loads(text)


def ask(command: list[str], task: dict[str, object]) -> Any:
    """Give the prober a task and wait for what it found."""
    return finish(begin(command, task))
