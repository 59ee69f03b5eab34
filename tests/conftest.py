"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.matrix import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

ROOT = Path(__file__).resolve().parent.parent

# A machine that is busy with something else is no defect of the code.
settings.register_profile("gatepost", deadline=None)
settings.load_profile("gatepost")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of corpora, peers and fault injectors that stands beside a developer's clone; a user's clone has none."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("needs the developers' folder ../shared with corpora and fault injectors")
    return path


@pytest.fixture(scope="session")
def as_root() -> None:
    """Skip a test that needs root."""
    if os.geteuid():
        pytest.skip("needs root: it makes network namespaces or changes users")
