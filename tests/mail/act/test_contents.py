"""Kept bytes come back as they were or not at all, and are on the disk before anybody is answered."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.faultyos import FaultyOs, PowerCutError

from gatepost.mail.act.contents import ContentError, Contents
from gatepost.system import files

KEY = bytes(range(32))
EICAR_LIKE = b"X5O!P%@AP-made-up-marker" * 50


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "neutralised"])
@given(data=st.binary(max_size=3000))
@settings(max_examples=30)
def test_bytes_come_back_exactly(tmp_path_factory, key, data) -> None:
    contents = Contents(tmp_path_factory.getbasetemp() / f"contents-{key is None}", key)
    digest = contents.put(memoryview(data))
    assert digest == hashlib.sha256(data).hexdigest()
    assert contents.get(digest) == data


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "neutralised"])
def test_nothing_on_the_disk_looks_like_the_mail(tmp_path, key) -> None:
    """Neither a scanner on the machine nor a click finds what was stopped."""
    contents = Contents(tmp_path, key)
    contents.put(EICAR_LIKE)
    (stored,) = [path.read_bytes() for path in tmp_path.glob("*/*")]
    assert b"marker" not in stored


def test_the_same_content_is_kept_once(tmp_path) -> None:
    contents = Contents(tmp_path, KEY)
    assert contents.put(b"same") == contents.put(b"same")
    assert len(list(contents.entries())) == 1


@pytest.mark.parametrize(
    "digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "..", "g" * 64, "a" * 62 + "/x", "\0" * 64]
)
def test_only_a_digest_is_ever_a_path(tmp_path, digest) -> None:
    contents = Contents(tmp_path, KEY)
    for call in (contents.get, contents.remove):
        with pytest.raises(ContentError, match="not a SHA-256"):
            call(digest)


def test_a_planted_link_is_not_followed(tmp_path) -> None:
    contents = Contents(tmp_path / "q", KEY)
    digest = hashlib.sha256(b"x").hexdigest()
    (tmp_path / "q" / digest[:2] / digest).symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic"):
        contents.get(digest)
    assert list(contents.entries()) == []


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "neutralised"])
@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b"", lambda _: b"junk"]
)
def test_damaged_content_is_never_given_back(tmp_path, key, change) -> None:
    contents = Contents(tmp_path, key)
    digest = contents.put(b"a mail")
    path = tmp_path / digest[:2] / digest
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ContentError, match="damaged"):
        contents.get(digest)


def test_content_of_another_key_and_expired_content_are_told_apart(tmp_path) -> None:
    digest = Contents(tmp_path, KEY).put(b"a mail")
    with pytest.raises(ContentError, match="another key; restore that key file"):
        Contents(tmp_path, bytes(32)).get(digest)
    with pytest.raises(ContentError, match="another key"):
        Contents(tmp_path, None).get(digest)
    Contents(tmp_path, KEY).remove(digest)
    with pytest.raises(ContentError, match="may have expired"):
        Contents(tmp_path, KEY).get(digest)


def test_switching_encryption_on_keeps_what_was_kept_before(tmp_path) -> None:
    digest = Contents(tmp_path, None).put(b"a mail")
    assert Contents(tmp_path, KEY).get(digest) == b"a mail"


def test_any_failing_call_fails_the_keeping_and_the_next_try_works(tmp_path, monkeypatch) -> None:
    """Fail the n-th call, n = 1, 2, ... until it passes: either an error, or the content is there."""
    for nth in range(1, 50):
        contents = Contents(tmp_path / str(nth), KEY)
        faulty = FaultyOs(nth)
        monkeypatch.setattr(files, "os", faulty)
        try:
            digest = contents.put(b"promised")
        except OSError:
            monkeypatch.setattr(files, "os", FaultyOs())
            assert contents.get(contents.put(b"promised")) == b"promised"
        else:
            monkeypatch.setattr(files, "os", FaultyOs())
            assert contents.get(digest) == b"promised"
            if len(faulty.calls) < nth:
                return
    pytest.fail("keeping never succeeded")


def test_a_power_cut_after_keeping_loses_nothing(tmp_path, monkeypatch) -> None:
    """At every call: what put has returned for is there whole; what it has not is there whole or not at all."""
    digest = hashlib.sha256(b"promised").hexdigest()
    for nth in range(1, 50):
        root = tmp_path / str(nth)
        contents = Contents(root, None)
        faulty = FaultyOs(nth, power=True)
        monkeypatch.setattr(files, "os", faulty)
        try:
            contents.put(b"promised")
        except PowerCutError:
            monkeypatch.setattr(files, "os", FaultyOs())
            left = faulty.survivors(root / digest[:2])
            assert left.get(digest, b"GPQ1N").startswith(b"GPQ1N")
            assert len(left.get(digest, b"GPQ1Npromised")) == 13
        else:
            assert len(faulty.survivors(root / digest[:2])[digest]) == 13
            return
    pytest.fail("keeping never succeeded")


def test_a_second_keeping_of_the_same_syncs_the_name_again(tmp_path, monkeypatch) -> None:
    """The first may have been cut off between its rename and the sync of the directory."""
    contents = Contents(tmp_path, None)
    digest = contents.put(b"promised")
    faulty = FaultyOs()
    monkeypatch.setattr(files, "os", faulty)
    contents.put(b"promised")
    assert digest in faulty.survivors(tmp_path / digest[:2])
