"""Fixtures of the scenarios: the end of the line, and a gateway between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clamd import clamd
from tests.support.gateway import Gateway
from tests.support.sink import Sink

__all__ = ["clamd"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.stop()


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that daemons of other users may enter; pytest's own is for its user alone."""
    folder = Path(tempfile.mkdtemp(prefix="gp-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gateway(home: Path, sink: Sink) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway in front of the sink; it is stopped at the end, and must then end well."""
    started: list[Gateway] = []

    def start(extra: str = "", next_hop: int = 0) -> Gateway:
        one = Gateway(home / f"gateway-{len(started)}", next_hop or sink.port, extra).start()
        started.append(one)
        return one

    yield start
    for one in started:
        print(one.log())  # pytest shows it when the test failed
        if one.process.poll() is None:
            assert one.stop() == 0, one.log()
