"""What tests of engines share: real daemons and their misbehaving stand-ins."""

from __future__ import annotations

import time

import pytest
from tests.support.clamd import clamd
from tests.support.faultclamd import faultclamd

from gatepost.mail.model import Envelope

__all__ = ["clamd", "faultclamd"]


@pytest.fixture
def envelope() -> Envelope:
    return Envelope("sender@example.org", ("user@example.com",))


@pytest.fixture
def soon() -> float:
    """A deadline that real engines keep with ease."""
    return time.monotonic() + 60
