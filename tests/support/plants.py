"""A site in which one thing is made wrong on purpose, for tests that each mistake is named."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.certificate import self_signed
from tests.support.ports import free_port
from tests.support.scripted import answering
from tests.support.sink import Sink

SITE = """
[site]
name = "Planted"
state = "{state}"
run = "{run}"
[zones.internet]
external = true
[zones.internal]
prefixes = ["192.168.3.0/24"]
[mail]
domains = ["widget.example"]
next_hop = "{hop}"
relay_from = [{zones}]
workers = {workers}
{mail}
[mail.smtp]
listen = "127.0.0.1:{smtp}"
{tls}
[mail.milter]
listen = "unix:{milter}"
mode = "{mode}"
{extra}
"""


@dataclass
class Plant:
    """A place where one thing is wrong: the values of the site file, and the surroundings of the command."""

    home: Path
    sink: int
    values: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: int = 0
    cleanup: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.state = self.home / "state"
        self.values = {
            "state": self.state,
            "run": self.home / "run",
            "hop": f"127.0.0.1:{self.sink}",
            "zones": '"internal"',
            "workers": 1,
            "mail": "",
            "smtp": free_port(),
            "tls": "",
            "milter": self.home / "milter.sock",
            "mode": "0660",
            "extra": "",
        }

    def write(self) -> Path:
        path = self.home / "site.toml"
        path.write_text(SITE.format(**self.values))
        return path

    def set(self, **values: object) -> None:
        self.values |= values

    def file(self, name: str, text: str | bytes = "") -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def own_state(self, running: Path) -> Path:
        """A copy of the running gateway's state, to be spoilt."""
        shutil.copytree(running, self.state, dirs_exist_ok=True)
        self.state.chmod(0o700)
        return self.state

    def engine(self, address: str, kind: str = "clamav") -> None:
        self.set(extra=f'[engines.{kind}]\nsocket = "{address}"')

    def listener(self) -> int:
        """A port that somebody else has."""
        sock = self.cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
        return int(sock.getsockname()[1])

    def server(self, answer: bytes | Callable[[bytes], bytes]) -> str:
        return self.cleanup.enter_context(answering(answer)).removeprefix("tcp:")


Fault = Callable[[Plant], object]


def site(**values: object) -> Fault:
    return lambda plant: plant.set(**values)


def strange_certificate(plant: Plant) -> None:
    (plant.home / "a").mkdir()
    certificate, _key = self_signed(plant.home / "a")
    _certificate, key = self_signed(plant.home)
    plant.set(tls=f'tls = {{ certificate = "{certificate}", key = "{key}" }}')


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that Postfix may enter; pytest's own is for its user alone."""
    with tempfile.TemporaryDirectory(prefix="gp-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def plant(sink: Sink) -> Iterator[Plant]:
    with folder() as home:
        one = Plant(home, sink.port)
        with one.cleanup:
            yield one


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.stop()
