"""Networks of a test's own: namespaces joined by a cable, without a name server and without a way out."""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
RELAY, OUTSIDE, INSIDE, SERVER = "192.168.2.3", "198.51.100.7", "192.168.3.10", "192.168.3.45"
"""The demo company's relay, a stranger, a workstation and the internal mail server."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Move this thread, and whatever it starts meanwhile, into a network namespace."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(there)
        yield
    finally:
        _enter(before)
        os.close(before)
        os.close(there)


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def two_hosts(here: str, there: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a cable: one with the address `here`, the other with all addresses of `there`. Gives their names. Needs root."""
    names = tuple(f"gp-{secrets.token_hex(4)}-{side}" for side in "ab")
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name, addresses, others in zip(names, ((here,), there), (there, (here,)), strict=True):
            ip("-n", name, "link", "set", "cable", "up")
            for address in addresses:
                ip("-n", name, "address", "add", f"{address}/32", "dev", "cable")
            for address in others:
                ip("-n", name, "route", "add", f"{address}/32", "dev", "cable")
        yield names[0], names[1]
    finally:
        for name in names:
            if Path(f"/run/netns/{name}").exists():
                ip("netns", "del", name)


@pytest.fixture
def hosts(as_root: None) -> Iterator[tuple[str, str]]:
    """The demo company's relay in a network of its own, and everybody else in another; their names."""
    with two_hosts(RELAY, (OUTSIDE, INSIDE, SERVER)) as names:
        yield names
