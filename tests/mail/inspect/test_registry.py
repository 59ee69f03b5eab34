"""Engines by name."""

from __future__ import annotations

import pytest

from gatepost.mail.inspect import registry
from gatepost.mail.inspect.engine import EngineError

OURS = {"banned", "clamav", "command", "hashes", "icap", "libclamav", "macros", "rspamd", "spamassassin", "yara"}


def test_our_own_engines_register_like_any_other():
    """Every engine of ours is found by the entry point group and can be loaded."""
    assert set(registry.names()) >= OURS
    for name in OURS:
        assert callable(registry._factory(name))


def test_a_misspelt_engine_is_named_with_the_nearest():
    """An unknown kind is an error that names the nearest valid one."""
    with pytest.raises(EngineError, match=r"'clamv'.*nearest is 'clamav'"):
        registry.make("clamv")


def test_an_engine_keeps_the_name_it_is_given():
    """Two engines of one kind have names of their own; without one the kind is the name."""
    assert registry.make("yara").name == "yara"
    assert registry.make("yara", "house-rules").name == "house-rules"


def test_a_broken_plug_in_is_an_engine_error(monkeypatch: pytest.MonkeyPatch):
    """A package that cannot be imported is named, with its error."""

    class Broken:
        value = "x:y"

        def load(self) -> object:
            raise ImportError("no module named x")

    monkeypatch.setattr(registry, "entry_points", lambda **_: [Broken()])
    with pytest.raises(EngineError, match="'foreign' cannot be used: ImportError: no module named x"):
        registry.make("foreign")
