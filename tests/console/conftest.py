"""A console for each test."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from tests.support.browser import chromium, served
from tests.support.console import PASSWORD, House, house

from gatepost.console import accounts
from gatepost.console.rights import Role
from gatepost.site.model import Site

WIDGET = Path(__file__).parents[2] / "examples/widget/site.toml"
NETWORK = ("zones", "hosts", "firewall", "publish", "flows", "translate", "services")


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is dear on purpose; these tests do it hundreds of times."""
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    made = house(tmp_path)
    yield made
    made.journal.close()


@pytest.fixture
def address(home: House) -> Iterator[str]:
    """The console, served; anna is its administrator."""
    home.console.accounts.add("anna", Role.ADMINISTRATOR, PASSWORD)
    with served(home) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def perimeter(home: House) -> House:
    """The home with the demo company's network, whose rules are tried out by the kernel."""
    network = {name: part for name, part in tomllib.loads(WIDGET.read_text()).items() if name in NETWORK}
    home.console.site = Site.model_validate(home.console.site.model_dump(mode="json", by_alias=True, exclude_none=True) | network)
    return home
