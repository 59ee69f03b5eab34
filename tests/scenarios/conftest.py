"""Fixtures of the scenarios: the end of the line, and a gateway between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.site.load import loads
from tests.support.clamd import clamd
from tests.support.gateway import Gateway
from tests.support.ports import free_port
from tests.support.relays import RELAY_SITE, GeneratedPostfix, GeneratedSendmail, Relay
from tests.support.sink import Sink
from tests.support.spamd import spamd

__all__ = ["clamd", "spamd"]


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

    def start(extra: str = "", next_hop: int = 0, program: tuple[str, ...] = ("-m", "gatepost")) -> Gateway:
        one = Gateway(home / f"gateway-{len(started)}", next_hop or sink.port, extra, program=program).start()
        started.append(one)
        return one

    yield start
    for one in started:
        print(one.log())  # pytest shows it when the test failed
        if one.process.poll() is None:
            assert one.stop() == 0, one.log()


@pytest.fixture(params=["postfix", "sendmail"])
def relay(request: pytest.FixtureRequest, home: Path, sink: Sink, as_root: None) -> Iterator[Callable[..., Relay]]:
    """Start a generated relay behind which the sink stands: all of them on this machine."""
    started: list[Relay] = []

    def start(milter: str, verify: str = "none", recipients: str = "", extra: str = "", environment: dict[str, str] | None = None) -> Relay:
        port = free_port()
        text = RELAY_SITE.format(sink=sink.port, milter=milter, port=port, verify=verify, recipients=recipients, extra=extra)
        made = {"postfix": GeneratedPostfix, "sendmail": GeneratedSendmail}[request.param]
        started.append(made(home / "relay", sink.port, port=port, site=loads(text), environment=environment or {}))
        return started[-1].start()

    yield start
    for one in started:
        one.stop()
