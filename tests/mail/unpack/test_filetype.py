"""Types are told by content, whatever the name."""

from __future__ import annotations

import pytest

from gatepost.mail.unpack.filetype import category, identify, sights
from gatepost.mail.unpack.magic import MAGIC, TYPES, Category
from gatepost.mail.unpack.readers import READERS

SAMPLES = {
    b"": "empty",
    b"hello\r\n": "text",
    b"MZ\x90\0" + bytes(80): "pe",
    b"\x7fELF\x02": "elf",
    b"\xca\xfe\xba\xbe\0\0\0\x34": "java-class",
    b"\xca\xfe\xba\xbe\0\0\0\x02": "macho",
    b"L\0\0\0\x01\x14\x02\0": "lnk",
    b"<html><body>": "html",
    b"\xef\xbb\xbf<!DOCTYPE html>": "html",
    "<html>".encode("utf-16"): "html",
    b"<?xml version='1.0'?>\n<svg xmlns='x'>": "svg",
    b"<?xml version='1.0'?><a/>": "xml",
    b"<html><HTA:APPLICATION id=x>": "hta",
    b"<job id='x'><script language='JScript'>": "wsf",
    b"#@~^AAAAAA==": "encoded-script",
    b'@echo off\r\nstart "" x': "batch",
    b'Dim s\r\nSet s = CreateObject("WScript.Shell")\r\n': "vbscript",
    b"var s = new ActiveXObject('WScript.Shell');\n": "javascript",
    b"$a = New-Object Net.WebClient\n$b = 1\n": "powershell",
    b"#!/bin/sh\n": "shell",
    b"[InternetShortcut]\r\nURL=file://x": "url",
    b"<PCSettings><SearchableContent>": "settingcontent",
    b"WEB\r\n1\r\nhttp://x": "iqy",
    b"Windows Registry Editor Version 5.00": "registry",
    b"{\\rtf1": "rtf",
    b"%PDF-1.7": "pdf",
    b"Received: from x\r\n": "mail",
    b"BEGIN:VCALENDAR": "calendar",
    b'{"a": 1}': "json",
    bytes(range(256)): "data",
    b"BM are two letters": "text",
    b"MZ is how programs begin, and this is a text about that, long enough to be no header at all": "text",
}


@pytest.mark.parametrize(("data", "expected"), SAMPLES.items(), ids=SAMPLES.values())
def test_a_type_is_told_by_content(data: bytes, expected: str) -> None:
    assert identify(data) == expected


@pytest.mark.parametrize(
    "letter",
    [
        b"Dear Lee,\r\n\r\nset the valve = 3 (see drawing).\r\nfor each part, if it exists, start again.\r\n",
        b"I wrote: var x = 3; but it failed.\nCould you try a function (like f(x)) instead?\n",
        b"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a = f(1)\n+b = g(2)\n",
        b"Subject to change: the price is 3 %.\n",
    ],
)
def test_a_letter_about_code_is_no_script(letter: bytes) -> None:
    assert category(identify(letter)) in {Category.TEXT, Category.MAIL}


def test_every_magic_and_every_reader_has_a_type_in_the_table() -> None:
    assert {row[2] for row in MAGIC} <= set(TYPES)
    assert set(READERS) <= set(TYPES)


def test_every_archive_type_has_a_reader_or_is_known_to_have_none() -> None:
    without = {kind.id for kind in TYPES.values() if kind.category in {Category.ARCHIVE, Category.DISK}} - set(READERS)
    assert without == {"installshield", "ace", "zoo", "arc", "alz", "egg"}


def test_a_file_that_is_two_things_is_seen_as_both() -> None:
    assert {sight.type for sight in sights(b"GIF89a" + bytes(30) + b"Rar!\x1a\x07\x00" + bytes(30))} == {"gif", "rar"}
    assert [sight.offset for sight in sights(b"MZ\0\0" + bytes(700) + b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(30))] == [0, 704]
    assert {sight.type for sight in sights(b"junk " * 100 + b"%PDF-1.4\n")} == {"text", "pdf"}


def test_a_text_with_the_letters_of_a_magic_is_only_a_text() -> None:
    assert [sight.type for sight in sights(b"The files begin with MSCF, Rar! or 7z.")] == ["text"]
