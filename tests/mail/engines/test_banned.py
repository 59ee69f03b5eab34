"""Banned names and true types, however they are disguised."""

from __future__ import annotations

import time

import pytest

from gatepost.mail.engines.banned import EXTENSIONS, Banned
from gatepost.mail.engines.names import extensions, trick
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Kind, Message, Part

RLO = "\u202e"


def judge(part: Part, **options: object) -> list[str]:
    found = Banned("banned", options).inspect(Message(b"", (part,)), Envelope("", ()), time.monotonic() + 5)
    assert all(finding.kind is Kind.BANNED and finding.part == part.path for finding in found)
    return [finding.name for finding in found]


def named(*names: str, **more: str) -> Part:
    return Part("2", b"x", names, **more)


@pytest.mark.parametrize(
    "name",
    [
        "setup.exe",
        "SETUP.EXE",
        "invoice.pdf.exe",
        "invoice.pdf                                        .exe",
        "setup.exe.",
        "setup.exe . . ",
        "setup.exe\u00a0",
        "setup.exe\0.txt",
        "setup.txt\0.exe",
        "setup.exe::$DATA",
        "setup.exe:readme.txt",
        'setup.exe"',
        "..\\..\\startup\\run.vbs",
        "/etc/x/run.js",
        "\uff33\uff45\uff54\uff55\uff50\uff0e\uff45\uff58\uff45",
        "set\u200bup.e\u200dxe",
        "ann" + RLO + "txt.exe",
        "fdp" + RLO + "exe.txt",
        "document.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}",
        "readme.txt          .lnk",
    ],
)
def test_programs_by_any_name(name: str):
    """Double extensions, trailing dots and spaces, NUL, streams, paths, wide letters, invisible letters, turned order."""
    assert judge(named(name))


@pytest.mark.parametrize(
    "name",
    [
        "report.docx",
        "exe.txt",
        "setup.exe.txt",
        "how to remove .exe files.pdf",
        "no extension",
        "",
        ".",
        "...",
        "version 1.0.2",
        "photo.jpeg",
        "\u200f\u05d3\u05d5\u05d7.pdf",
        "\u0646\u0645\u0648\u0630\u062c.docx",
        "\uff52\uff45\uff50\uff4f\uff52\uff54.pdf",
        "archive.tar.gz",
        "script.py",
        "install.sh",
    ],
)
def test_honest_names_are_left_alone(name: str):
    """Documents, names in right-to-left scripts and Unix scripts are nobody's business."""
    assert judge(named(name)) == []


def test_every_name_of_a_part_counts():
    """A reader that shows the second name would start the program."""
    assert judge(named("harmless.txt", "evil.scr")) == ["name:scr"]


@pytest.mark.parametrize("type_", ["pe", "elf", "macho", "jar", "msi", "lnk", "vbscript", "hta", "powershell"])
def test_programs_by_true_type(type_: str):
    """A program called letter.txt is still one."""
    assert judge(named("letter.txt", type=type_)) == [f"type:{type_}"]


@pytest.mark.parametrize("type_", ["docx", "xlsx", "zip", "pdf", "ole", "shell", "interpreter-script", "html", ""])
def test_documents_and_archives_are_not_programs(type_: str):
    """Office files, archives and Unix scripts pass."""
    assert judge(named("file.bin", type=type_)) == []


def test_a_text_that_only_looks_like_a_script_is_shown_and_not_started():
    """Script in the visible text of a mail is nothing; attached, named or packed it is a script."""
    assert judge(Part("1", b"x", declared="text/plain", type="javascript")) == []
    assert judge(Part("1", b"x", declared="text/plain", type="javascript", disposition="attachment")) == ["type:javascript"]
    assert judge(Part("1!a.zip!b", b"x", type="javascript")) == ["type:javascript"]
    assert judge(Part("1", b"x", declared="text/plain", type="pe")) == ["type:pe"]


def test_a_mail_named_after_its_sender_is_no_program():
    """ "bob@example.com" is how a forwarded mail is called; the same name on anything else is a .com file."""
    assert judge(named("bob@example.com", declared="message/rfc822")) == []
    assert judge(named("bob@example.com", declared="application/octet-stream")) == ["name:com"]


WEB = b"[DEFAULT]\r\nBASEURL=http://example.org/\r\n[InternetShortcut]\r\nURL=https://example.org/a?b=c\r\nModified=C0E7A2B1D3\r\n"


@pytest.mark.parametrize(
    ("content", "banned"),
    [
        (WEB, False),
        (b"[InternetShortcut]\nURL=http://example.org\n", False),
        (b"[InternetShortcut]\nURL=file://192.0.2.1/share/a.exe\n", True),
        (b"[InternetShortcut]\nURL=\\\\192.0.2.1\\share\\a.exe\n", True),
        (b"[InternetShortcut]\nURL=http://example.org\nIconFile=\\\\192.0.2.1\\x.ico\n", True),
        (b"[InternetShortcut]\nURL=http://example.org\nWorkingDirectory=c:\\\n", True),
        (b"[InternetShortcut]\nURL=javascript:alert(1)\n", True),
        (b"[InternetShortcut]\nURL=http://example.org\\@192.0.2.1\n", True),
        (b"MZ\x90", True),
    ],
)
@pytest.mark.parametrize("type_", ["", "url"])
def test_a_shortcut_to_the_web_is_a_link_and_no_more(content: bytes, banned: bool, type_: str):
    """A .url file passes only if all it says is an address on the web."""
    assert bool(judge(Part("2", content, ("page.url",), type=type_))) is banned


def test_a_script_of_a_pdf_is_no_file():
    """JavaScript that a PDF carries cannot be started as a file; a file embedded in a PDF can."""
    assert judge(Part("2!object1.js", b"x", ("object1.js",), type="javascript", reading="pdf-script")) == []
    assert judge(Part("2!object1.js", b"x", ("object1.js",), type="javascript")) == ["name:js"]


def test_the_site_chooses_what_is_banned():
    """Lists replace ours, and `allow` takes single ones away."""
    assert judge(named("a.zip"), extensions=["zip", ".RAR"]) == ["name:zip"]
    assert judge(named("a.exe"), extensions=["zip"]) == []
    assert judge(named("a.exe"), allow=["exe", "pe"]) == []
    assert judge(named("a.txt", type="pe"), allow=["exe", "pe"]) == []
    assert judge(named("a", type="zip"), types=["archive"]) == ["type:zip"]
    assert judge(named("a", type="shell"), types=["shell"]) == ["type:shell"]
    with pytest.raises(EngineError, match="archiv"):
        judge(named("a"), types=["archiv"])


def test_our_table_is_in_the_form_it_is_compared_in():
    """Extensions are lower case, without dot, and give themselves."""
    assert all(extensions(f"a.{extension}") == (extension,) for extension in EXTENSIONS)


def test_tricks_have_names():
    """The name of the trick is the name of the finding."""
    assert trick("a" + RLO + "b") == "right-to-left"
    assert trick("a.{00000000-0000-0000-0000-000000000000}") == "class-id"
    assert trick("a" + " " * 20 + ".b") == "hidden-extension"
    assert trick("plain name.txt") == ""
