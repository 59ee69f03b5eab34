"""Macros in Office documents, read by the real oletools."""

from __future__ import annotations

import time

import pytest

from gatepost.mail.engines import macros
from gatepost.mail.engines.macros import Macros
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Finding, Kind, Message, Part

pytest.importorskip("oletools", reason="needs the optional package oletools (gatepost[office])")

# Flat Word and symbolic link files are what oletools reads without a compound file around them.
DROPPER = b'Attribute VB_Name = "M"\r\nSub AutoOpen()\r\n  CreateObject("WScript.Shell").Run "x", vbHide\r\nEnd Sub\r\n'
GREETING = b'Attribute VB_Name = "M"\r\nSub AutoOpen()\r\n  MsgBox "welcome"\r\nEnd Sub\r\n'
CALCULATION = b'Attribute VB_Name = "M"\r\nSub Sum()\r\n  x = x + 1\r\nEnd Sub\r\n'
EXCEL4 = b'ID;P\r\nO;E\r\nNN;NAuto_open;ER101C1;KOut Flank;F\r\nC;X1;Y101;EEXEC("CALC.EXE")\r\nC;X1;Y102;EHALT()\r\nE\r\n'
BROKEN = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def judge(content: bytes, type_: str = "doc", **options: object) -> list[Finding]:
    message = Message(b"raw", (Part("2", content, type=type_),))
    return list(Macros("macros", options).inspect(message, Envelope("", ()), time.monotonic() + 30))


def test_a_macro_that_starts_by_itself_and_starts_programs_is_suspect():
    """The finding names what starts it and what it does."""
    (found,) = judge(DROPPER)

    assert (found.kind, found.name, found.part) == (Kind.SUSPECT, "macro-auto-start", "2")
    assert "AutoOpen" in found.detail
    assert "WScript.Shell" in found.detail


def test_an_excel_4_macro_is_suspect():
    """XLM macros have no honest use in mail any more."""
    (found,) = judge(EXCEL4, "slk")

    assert (found.kind, found.name) == (Kind.SUSPECT, "macro-excel4")


@pytest.mark.parametrize("content", [GREETING, CALCULATION, b"just text", b"PK\x03\x04 cut short"])
def test_harmless_macros_and_other_files_are_left_alone(content: bytes):
    """A greeting, a calculation, a file that is no document."""
    assert judge(content) == []


@pytest.mark.parametrize(
    ("ban", "content", "banned"),
    [
        ("all", CALCULATION, True),
        ("all", GREETING, True),
        ("auto", GREETING, True),
        ("auto", EXCEL4, True),
        ("auto", CALCULATION, False),
        ("none", GREETING, False),
    ],
)
def test_a_site_may_ban_macros(ban: str, content: bytes, banned: bool):
    """`ban` turns macros into BANNED: all of them, or those that start by themselves."""
    kinds = {finding.kind for finding in judge(content, ban=ban)}

    assert (Kind.BANNED in kinds) is banned


def test_a_document_that_cannot_be_read_is_unchecked():
    """A damaged compound file could hold macros that only Office can read."""
    (found,) = judge(BROKEN)

    assert (found.kind, found.name) == (Kind.UNCHECKED, "macros-unreadable")


def test_other_types_are_not_opened():
    """What is no Office document costs nothing."""
    assert judge(DROPPER, "text") == []
    assert judge(BROKEN, "zip") == []


def test_without_oletools_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """The package is optional; asking for the engine without it is an error with the remedy."""
    monkeypatch.setattr(macros, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"gatepost\[office\]"):
        Macros("macros", {})
