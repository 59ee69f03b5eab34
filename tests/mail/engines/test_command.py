"""Any command-line scanner: its exit status and output mean what the table says, and nothing else is clean."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from tests.support.clamd import write_signatures
from tests.support.eicar import EICAR, MARKER

from gatepost.mail.engines.command import Command, judge
from gatepost.mail.engines.presets import PRESETS
from gatepost.mail.inspect.engine import EngineError, EngineTimeoutError
from gatepost.mail.model import Envelope, Kind, Message, Part
from gatepost.system.children import Outcome

MESSAGE = Message(b"Subject: x\r\n\r\n", (Part("1", b"text"), Part("2!a.zip!b", MARKER)))


def shell(script: str, **options: object) -> Command:
    """A scanner that is a shell script."""
    return Command("house", {"command": ["sh", "-c", script, "sh", "{path}"], "infected": [1], **options})


def inspect(engine: Command, message: Message = MESSAGE, seconds: float = 20.0):
    return engine.inspect(message, Envelope("", ()), time.monotonic() + seconds)


def test_a_users_own_scanner_finds_and_locates():
    """A scanner of three words is enough: status and pattern tell, and the file's name leads back to the part."""
    engine = shell(
        f'grep -rl {MARKER.decode()} "$1" | sed "s/$/: House.Marker/"; grep -rq {MARKER.decode()} "$1" && exit 1; exit 0', pattern=": (.+)"
    )
    (found,) = inspect(engine)

    assert (found.kind, found.name, found.part) == (Kind.VIRUS, "House.Marker", "2!a.zip!b")
    assert inspect(engine, Message(b"nothing")) == ()


def test_all_content_is_in_the_directory_and_nothing_stays(tmp_path: Path):
    """The program sees the raw mail and every part; afterwards the scratch directory is empty."""
    engine = shell('cat "$1"/* | grep -q "^Subject: x" && ls "$1" | wc -l | grep -qx 3 && exit 1; exit 0', scratch=str(tmp_path))

    assert len(inspect(engine)) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script", ["exit 2", "exit 127", "kill -9 $$", "kill -SEGV $$", "echo License has expired; exit 0", "yes | head -c 3000000"]
)
def test_whatever_is_neither_clean_nor_infected_is_an_error(script: str):
    """An unknown status, death by signal, an expired licence and a flood are failures."""
    with pytest.raises(EngineError):
        inspect(shell(script))


def test_a_scanner_that_hangs_is_killed():
    """A program that does not end is a time-out, and is gone."""
    with pytest.raises(EngineTimeoutError):
        inspect(shell("sleep 60"), seconds=0.5)


def test_a_missing_program_is_an_error():
    """A scanner that is not installed has not looked."""
    with pytest.raises(EngineError, match="not installed"):
        inspect(Command("house", {"command": ["/nonexistent/scanner", "{path}"], "infected": [1]}))


@pytest.mark.parametrize(
    ("preset", "status", "output", "expected"),
    [
        ("uvscan", 0, "", []),
        ("uvscan", 13, "/s/part-1 ... Found the W32/Klez virus !!!", ["W32/Klez"]),
        ("uvscan", 13, "Found: EICAR test file NOT a virus.", ["EICAR test file"]),
        ("uvscan", 8, "", None),
        ("eset", 0, "", []),
        ("eset", 50, 'name="/s/part-0", threat="Eicar test file", action=""', ["Eicar test file"]),
        ("eset", 10, "", None),
        ("eset", 100, "", None),
        ("sophos", 0, "", []),
        ("sophos", 3, ">>> Virus 'EICAR-AV-Test' found in file /s/part-0", ["EICAR-AV-Test"]),
        ("sophos", 2, "", None),
        ("fsecure", 0, "", []),
        ("fsecure", 3, "/s/part-0: Infected: EICAR_Test_File [FSE]", ["EICAR_Test_File"]),
        ("fsecure", 9, "", None),
        ("kaspersky", 0, "", []),
        ("kaspersky", 25, "/s/part-0 INFECTED EICAR-Test-File", ["EICAR-Test-File"]),
        ("kaspersky", 10, "", None),
        ("bitdefender", 0, "Infected files: 0", []),
        ("bitdefender", 0, "", None),
        ("bitdefender", 1, "/s/part-0  infected: EICAR-Test-File", ["EICAR-Test-File"]),
        ("mdatp", 0, "\t0 threat(s) detected", []),
        ("mdatp", 0, "\t1 threat(s) detected\nName: Virus:DOS/EICAR_Test_File", ["Virus:DOS/EICAR_Test_File"]),
        ("mdatp", 0, "\t10 threat(s) detected", ["status-0"]),
        ("mdatp", 0, "", None),
        ("mdatp", 1, "", None),
        ("clamscan", 0, "", []),
        ("clamscan", 1, "/s/part-0: Eicar-Signature FOUND", ["Eicar-Signature"]),
        ("clamscan", 0, "/s/part-0: Eicar-Signature FOUND", None),
        ("clamscan", 2, "", None),
    ],
)
def test_the_table_of_presets(preset: str, status: int, output: str, expected: list[str] | None):
    """Exit statuses and outputs of the known scanners; None is a failure."""
    outcome = Outcome(status, output.encode(), b"")
    if expected is None:
        with pytest.raises(EngineError):
            judge(PRESETS[preset], outcome)
    else:
        assert [name for name, _ in judge(PRESETS[preset], outcome)] == expected


def test_the_real_clamscan_by_its_preset(tmp_path: Path):
    """The preset for clamscan with another signature directory finds EICAR and passes its twin."""
    if shutil.which("clamscan") is None:
        pytest.skip("needs clamscan (Debian package clamav)")
    write_signatures(tmp_path / "db")
    command = ["clamscan", f"--database={tmp_path}/db", "--no-summary", "--infected", "--recursive", "--stdout", "{path}"]
    engine = Command("clamscan", {"preset": "clamscan", "command": command})
    (found,) = inspect(engine, Message(b"x", (Part("1", EICAR),)))

    assert (found.name, found.part) == ("Test.EICAR.UNOFFICIAL", "1")
    assert inspect(engine, Message(b"x", (Part("1", EICAR[1:]),))) == ()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "preset"),
        ({"preset": "norton"}, "uvscan"),
        ({"command": ["scan"]}, "path"),
        ({"command": ["scan", "{path}"]}, "infected"),
        ({"command": ["scan", "{path}"], "infected": [0]}, "infected"),
        ({"command": ["scan", "{path}"], "infected": ["1"]}, "infected"),
        ({"command": ["scan", "{path}"], "infected": [1], "pattern": "("}, "pattern"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], named: str):
    """A command that could never work is refused at start, with the option's name."""
    with pytest.raises(EngineError, match=named):
        Command("house", options)
