"""YARA-X in process, with our own rules and a user's."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support.eicar import EICAR

from gatepost.mail.engines.yara import Yara
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Kind, Message, Part

OWN = 'rule House { meta: kind = "banned" description = "not in this house" strings: $a = "forbidden" condition: $a }'


def names(engine: Yara, *contents: bytes) -> list[tuple[Kind, str, str]]:
    parts = tuple(Part(str(number), content) for number, content in enumerate(contents, 1))
    found = engine.inspect(Message(b"raw", parts), Envelope("", ()), time.monotonic() + 30)
    return [(finding.kind, finding.name, finding.part) for finding in found]


@pytest.fixture(scope="module")
def engine() -> Yara:
    return Yara("yara", {})


def test_own_rules_find_eicar_and_not_its_twin(engine: Yara):
    """EICAR in any part is a virus, at any place; with one byte changed it is nothing."""
    assert names(engine, EICAR) == [(Kind.VIRUS, "EICAR_Test_File", "1")]
    assert names(engine, b"x" * 100 + EICAR + b"y") == [(Kind.VIRUS, "EICAR_Test_File", "1")]
    assert names(engine, EICAR[:-1] + b"+") == []


def test_the_same_content_is_looked_at_once(engine: Yara):
    """A part that repeats another gives no second finding."""
    assert names(engine, EICAR, EICAR) == [(Kind.VIRUS, "EICAR_Test_File", "1")]


@pytest.mark.parametrize(
    ("expected", "content"),
    [
        ("Shortcut_Starts_Interpreter", b"L\0\0\0\x01\x14\x02\0" + bytes(8) + "powershell -w hidden".encode("utf-16-le")),
        ("Script_Downloads_And_Runs", b'CreateObject("MSXML2.XMLHTTP") CreateObject("ADODB.Stream") CreateObject("WScript.Shell")'),
        ("Script_Hidden_PowerShell", b"powershell.exe -nop -w hidden -enc " + b"QUJD" * 30),
        ("HTML_Application", b'<hta:application id=x><script>new ActiveXObject("WScript.Shell")</script>'),
        ("HTML_Builds_A_File", b"<script>b=new Blob([atob(x)]);a.href=URL.createObjectURL(b);a.download='x';a.click()</script>"),
        ("RTF_Loads_Object_By_Itself", rb"{\rtf1{\object\objupdate{\*\objdata 0105}}}"),
        ("RTF_Equation_Object", rb"{\rtf1{\object{\*\objclass Equation.3}{\*\objdata 0105}}}"),
        ("PDF_Launches_Program", b"%PDF-1.4 /OpenAction << /S /Launch /F (x) >>"),
    ],
)
def test_what_starts_programs_is_suspect(engine: Yara, expected: str, content: bytes):
    """Each own rule finds the form it is written for, as a suspicion."""
    assert names(engine, content) == [(Kind.SUSPECT, expected, "1")]


@pytest.mark.parametrize(
    "content",
    [
        b"Please read our page about PowerShell, mshta and WScript.Shell; -enc is an option.",
        b"<script>var x = new Blob([1]);</script>",
        b"%PDF-1.4 /OpenAction [3 0 R /Fit] /Launchpad",
        rb"{\rtf1 plain text about \\objdata}",
        b"L\0\0\0" + b"powershell",
    ],
)
def test_honest_content_is_left_alone(engine: Yara, content: bytes):
    """Talking of such things, or half of them, is nothing."""
    assert names(engine, content) == []


def test_a_users_rules_join_ours_or_stand_alone(tmp_path: Path):
    """A directory of rules is read, metadata names the kind, and ours can be left out."""
    (tmp_path / "house.yar").write_text(OWN)
    (tmp_path / "notes.txt").write_text("no rule")
    both = Yara("yara", {"rules": [str(tmp_path)]})
    alone = Yara("yara", {"rules": str(tmp_path / "house.yar"), "own_rules": False})

    assert names(both, b"forbidden " + EICAR) == [(Kind.VIRUS, "EICAR_Test_File", "1"), (Kind.BANNED, "House", "1")]
    assert names(alone, b"forbidden " + EICAR) == [(Kind.BANNED, "House", "1")]
    assert both.info().signatures != alone.info().signatures


def test_a_rule_without_a_kind_is_a_virus(tmp_path: Path):
    """A user's rule that says nothing about its kind is taken at its worst."""
    (tmp_path / "x.yar").write_text('rule X { strings: $a = "xyz" condition: $a }')

    assert names(Yara("yara", {"rules": [str(tmp_path)]}), b"xyz") == [(Kind.VIRUS, "X", "1")]


def test_compiled_rules_are_kept_and_a_damaged_cache_is_made_anew(tmp_path: Path):
    """The second start loads what the first compiled; a cut file is not trusted but replaced."""
    options = {"cache": str(tmp_path / "cache")}
    Yara("yara", options)
    (kept,) = (tmp_path / "cache").iterdir()
    size = kept.stat().st_size
    assert names(Yara("yara", options), EICAR)

    kept.write_bytes(kept.read_bytes()[: size // 2])
    assert names(Yara("yara", options), EICAR)
    assert kept.stat().st_size == size


@pytest.mark.parametrize("missing", ["absent.yar", "empty"])
def test_missing_rules_are_an_error(tmp_path: Path, missing: str):
    """A file that is not there, or a directory without rules, is named."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineError, match=missing):
        Yara("yara", {"rules": [str(tmp_path / missing)]})


def test_a_rule_with_an_error_is_named_with_its_file(tmp_path: Path):
    """A user who makes a mistake is told where."""
    (tmp_path / "bad.yar").write_text("rule X { condition: nonsense }")
    with pytest.raises(EngineError, match=r"bad\.yar"):
        Yara("yara", {"rules": [str(tmp_path)]})


def test_out_of_time_is_no_answer(engine: Yara):
    """A scan that begins after its deadline is not begun."""
    with pytest.raises(EngineError, match="time"):
        engine.look(engine.select(Message(b"x")), time.monotonic() - 1)
