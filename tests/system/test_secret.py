"""Keys of this machine."""

from __future__ import annotations

import pytest

from gatepost.system.secret import SecretError, secret


def test_a_key_is_made_once_and_then_stays(tmp_path) -> None:
    key = secret(tmp_path / "keys" / "one")
    assert len(key) == 32
    assert secret(tmp_path / "keys" / "one") == key
    assert secret(tmp_path / "keys" / "two") != key


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path) -> None:
    secret(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        secret(tmp_path / "key")


def test_a_cut_key_is_refused(tmp_path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(SecretError, match="5 bytes instead of 32"):
        secret(tmp_path / "key")
