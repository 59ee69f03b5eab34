"""Encrypted files open with what they were made for, by us and by age itself, and with nothing else; no byte can be changed or left out."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.system import age, bech32
from gatepost.system.age import CHUNK, AgeError, Reader, Writer

SECRET, RECIPIENT = age.new_identity()
KEY = age.read_identity(SECRET)


@pytest.fixture(autouse=True)
def _light_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "WORK", 8)


def sealed(data: bytes, passphrase: str = "") -> bytes:
    target = io.BytesIO()
    with Writer(target, () if passphrase else (RECIPIENT,), passphrase) as writer:
        for at in range(0, len(data), 50_001):
            writer.write(data[at : at + 50_001])
    return target.getvalue()


def opened(content: bytes, passphrase: str = "") -> bytes:
    return io.BufferedReader(Reader(io.BytesIO(content), None if passphrase else KEY, passphrase)).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_went_in_comes_out(size: int) -> None:
    data = os.urandom(size)
    assert opened(sealed(data)) == data
    assert opened(sealed(data, "correct horse"), "correct horse") == data


def test_another_key_or_passphrase_does_not_open_it() -> None:
    with pytest.raises(AgeError, match="needs the secret key of one of its recipients"):
        Reader(io.BytesIO(sealed(b"x")), age.read_identity(age.new_identity()[0]))
    with pytest.raises(AgeError, match="needs its passphrase"):
        opened(sealed(b"x", "correct horse"), "wrong horse")


def test_cut_off_anywhere_it_is_refused() -> None:
    whole = sealed(os.urandom(CHUNK + 100))
    for end in [*range(300), CHUNK, CHUNK + 200, len(whole) - 16, len(whole) - 1]:
        with pytest.raises(AgeError):
            opened(whole[:end])


def test_changed_anywhere_it_is_refused() -> None:
    whole = sealed(b"some words")
    for at in range(len(whole)):
        with pytest.raises(AgeError):
            opened(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])


def test_two_chunks_cannot_change_places() -> None:
    whole = sealed(os.urandom(3 * CHUNK))
    start, size = len(whole) - 3 * (CHUNK + 16), CHUNK + 16
    with pytest.raises(AgeError, match="damaged or cut off"):
        opened(whole[:start] + whole[start + size : start + 2 * size] + whole[start : start + size] + whole[start + 2 * size :])


def test_a_key_file_with_comments_is_read_and_a_wrong_one_is_named() -> None:
    assert age.recipient_of(age.read_identity(f"# public key: {RECIPIENT}\n{SECRET}\n")) == RECIPIENT
    for text in ("", RECIPIENT, f"{SECRET}\n{SECRET}", SECRET[:-1] + "B"):
        with pytest.raises(AgeError):
            age.read_identity(text)


@given(st.binary(max_size=80))
def test_bech32_comes_back_and_one_wrong_letter_is_noticed(data: bytes) -> None:
    text = bech32.encode("age", data)
    assert bech32.decode("age", text) == data
    with pytest.raises(ValueError):
        bech32.decode("age", text[:-1] + bech32.ALPHABET[bech32.ALPHABET.index(text[-1]) ^ 1])


def test_the_vector_of_bip_173_is_read() -> None:
    assert bech32.decode("a", "a12uel5l") == b""


@pytest.mark.skipif(shutil.which("age") is None, reason="needs age (Debian package age)")
def test_age_itself_opens_ours_and_we_open_its_files(tmp_path: Path) -> None:
    data = os.urandom(2 * CHUNK + 5)
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / "ours").write_bytes(sealed(data))
    assert subprocess.run(["age", "-d", "-i", tmp_path / "key", tmp_path / "ours"], capture_output=True, check=True).stdout == data
    theirs = subprocess.run(["age", "-r", RECIPIENT], input=data, capture_output=True, check=True).stdout
    assert opened(theirs) == data
