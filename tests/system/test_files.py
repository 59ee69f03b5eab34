"""Files are there whole after any failing call and any power cut, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.faultyos import FaultyOs, PowerCutError

from gatepost.system import files


def with_os(monkeypatch: pytest.MonkeyPatch, faulty: FaultyOs) -> FaultyOs:
    monkeypatch.setattr(files, "os", faulty)
    return faulty


def test_whatever_call_fails_the_old_file_or_the_new_one_is_there(tmp_path, monkeypatch) -> None:
    """Fail the first call, the second, and so on until nothing fails: never half a file, never a leftover."""
    path = tmp_path / "file"
    for nth in range(1, 50):
        path.write_bytes(b"old")
        faulty = with_os(monkeypatch, FaultyOs(nth))
        try:
            files.write_atomic(path, b"new")
        except OSError:
            assert path.read_bytes() in {b"old", b"new"}
        if len(faulty.calls) < nth:
            assert path.read_bytes() == b"new"
            assert nth > 6
            return
        if faulty.calls[nth - 1] != "unlink":
            assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    pytest.fail("the write never succeeded")


def test_a_power_cut_at_any_call_leaves_the_whole_file_or_none(tmp_path, monkeypatch) -> None:
    """What survives under the name is whole, and after the call returned it does survive."""
    for nth in range(1, 50):
        directory = tmp_path / str(nth)
        directory.mkdir()
        faulty = with_os(monkeypatch, FaultyOs(nth, power=True))
        try:
            files.write_atomic(directory / "file", b"promised")
        except PowerCutError:
            assert faulty.survivors(directory).get("file", b"promised") == b"promised"
        else:
            assert faulty.survivors(directory)["file"] == b"promised"
            return
    pytest.fail("the write never succeeded")


def test_the_power_cut_rig_itself_notices_a_missing_directory_sync(tmp_path, monkeypatch) -> None:
    """Negative control: without the sync of the directory nothing survives."""
    faulty = with_os(monkeypatch, FaultyOs())
    monkeypatch.setattr(files, "sync_directory", lambda path: None)
    files.write_atomic(tmp_path / "file", b"promised")
    assert faulty.survivors(tmp_path) == {}


def test_appending_adds_to_the_end_and_is_synced(tmp_path, monkeypatch) -> None:
    faulty = with_os(monkeypatch, FaultyOs())
    files.append(tmp_path / "file", b"one")
    files.append(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"onetwo"
    assert faulty.survivors(tmp_path) == {"file": b"onetwo"}


def test_links_are_not_followed_in_reading_and_writing(tmp_path) -> None:
    """A link that somebody planted does not lead us to another file."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        files.read(tmp_path / "link")
    with pytest.raises(OSError, match="symbolic"):
        files.append(tmp_path / "link", b"more")
    files.write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_new_files_and_directories_are_private(tmp_path) -> None:
    files.make_directory(tmp_path / "a" / "b")
    files.write_atomic(tmp_path / "a" / "b" / "file", b"")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o600


def test_removing_what_is_not_there_does_nothing(tmp_path) -> None:
    files.remove(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"x")
    files.remove(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_short_writes_are_carried_on(tmp_path, monkeypatch) -> None:
    """A write may take fewer bytes than it was given."""
    faulty = FaultyOs()
    monkeypatch.setattr(files, "os", faulty)
    faulty.write = lambda fd, data: os.write(fd, data[:3])  # type: ignore[attr-defined]
    files.write_atomic(Path(tmp_path / "file"), b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"
