"""Fixtures of the firewall's tests."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path

import pytest

from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy, declare
from gatepost.firewall.nft import apart, rehearse
from gatepost.site.load import loads

ROOT = Path(__file__).resolve().parents[2]
TODAY = dt.date(2026, 1, 1)


def policy_from(text: str) -> Policy:
    """The policy of a site text."""
    return declare(loads(text), TODAY)


@pytest.fixture(scope="session")
def widget_text() -> str:
    return (ROOT / "examples" / "widget" / "site.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def widget(widget_text: str) -> Policy:
    return policy_from(widget_text)


@pytest.fixture(scope="session")
def needs_nft() -> None:
    """Skip a test that loads rules into a network namespace of its own."""
    if shutil.which("nft") is None or subprocess.run([*apart(), "true"], check=False).returncode:
        pytest.skip("needs nft and leave to make network namespaces")


@pytest.fixture(scope="session")
def widget_listing(needs_nft: None, widget: Policy) -> str:
    """What a kernel says it holds after loading the demo company's rules."""
    return rehearse(reload_text(compile_policy(widget), ()))
