"""Known-bad content by its digest."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.engines.hashes import Hashes, _List
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Message, Part

BAD = b"bad content"
DIGEST = hashlib.sha256(BAD).hexdigest()


def look(*lists: Path, content: bytes = BAD) -> list[tuple[str, str]]:
    engine = Hashes("hashes", {"lists": [str(file) for file in lists]})
    found = engine.inspect(Message(b"raw", (Part("2", content),)), Envelope("", ()), time.monotonic() + 5)
    return [(finding.name, finding.part) for finding in found]


def write(folder: Path, text: str, name: str = "list") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{}", "known-bad-content"),
        ("{} Worm.X", "Worm.X"),
        ("{}\tWorm X\r", "Worm X"),
        ("{}:11:Worm.X", "Worm.X"),
        ("{}:*:Worm.X:73", "Worm.X"),
        ("{}  *file.exe", "file.exe"),
    ],
)
@pytest.mark.parametrize("end", ["\n", ""])
def test_every_form_of_line(tmp_path: Path, line: str, expected: str, end: str):
    """Digest alone, with a name, in ClamAV's form or sha256sum's, upper case too, with or without the last line end."""
    other = "# comment\n\n" + "0" * 64 + " Other\n"
    for digest in (DIGEST, DIGEST.upper()):
        file = write(tmp_path, other + line.format(digest) + end)
        assert look(file) == [(expected, "2")]
        assert look(file, content=b"good content") == []


def test_no_list_and_empty_lists_know_nothing(tmp_path: Path):
    """An engine without lists works and finds nothing; so does one with an empty file."""
    assert look() == []
    assert look(write(tmp_path, "")) == []


@pytest.mark.parametrize("line", ["abc", DIGEST[:-1], DIGEST + "ff", "g" * 64, "Worm.X " + DIGEST])
def test_a_wrong_line_is_named_with_its_number(tmp_path: Path, line: str):
    """A list with a damaged line is refused, not used in part."""
    with pytest.raises(EngineError, match="line 2"):
        look(write(tmp_path, f"{DIGEST}\n{line}\n"))


def test_a_missing_list_is_named(tmp_path: Path):
    """A file that is not there is an error at start."""
    with pytest.raises(EngineError, match="absent"):
        look(tmp_path / "absent")


def test_a_changed_list_changes_the_mark(tmp_path: Path):
    """After a list has changed a new engine reads it again, and its mark is another."""
    file = write(tmp_path, DIGEST + "\n")
    before = Hashes("hashes", {"lists": [str(file)]}).info()
    write(tmp_path, "0" * 64 + "\nffff" + "0" * 60 + "\n")
    after = Hashes("hashes", {"lists": [str(file)]}).info()

    assert before.signatures != after.signatures
    assert look(file) == []


@given(st.sets(st.binary(min_size=32, max_size=32), max_size=60))
def test_all_listed_digests_are_found_and_no_others(tmp_path_factory: pytest.TempPathFactory, digests: set[bytes]):
    """Look-up in the sorted block agrees with membership in the set."""
    file = write(tmp_path_factory.mktemp("lists"), "".join(f"{digest.hex()} N{digest.hex()[:4]}\n" for digest in digests))
    one = _List(file, 0.0)

    assert all(one.find(digest) == f"N{digest.hex()[:4]}" for digest in digests)
    assert all(
        one.find(bytes([digest[0] ^ 1]) + digest[1:]) is None for digest in digests if bytes([digest[0] ^ 1]) + digest[1:] not in digests
    )
