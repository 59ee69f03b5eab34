"""Pages and scripts: hidden files come out, pages that build files are suspect, honest pages are not."""

from __future__ import annotations

import base64

import pytest
from tests.support.containers import ZipFile, zip_of
from tests.support.eicar import EICAR
from tests.support.unpacking import caught, names, unpack

from gatepost.mail.model import Kind

FILE = zip_of(ZipFile.of(b"setup.exe", EICAR))
B64 = base64.b64encode(FILE).decode()

SPELLINGS = {
    "base64": f"atob('{B64}')",
    "reversed": f"atob('{B64[::-1]}'.split('').reverse().join(''))",
    "joined": "atob(" + "+".join(f"'{B64[at : at + 11]}'" for at in range(0, len(B64), 11)) + ")",
    "list": "atob([" + ",".join(f'"{B64[at : at + 11]}"' for at in range(0, len(B64), 11)) + "].join(''))",
    "hexadecimal": f"unhex('{FILE.hex()}')",
    "numbers": f"new Uint8Array([{', '.join(map(str, FILE))}])",
    "hexadecimal numbers": f"new Uint8Array([{','.join(map(hex, FILE))}])",
    "escapes": "unescape('" + "".join(f"%{byte:02x}" for byte in FILE) + "')",
    "string escapes": "'" + "".join(f"\\x{byte:02x}" for byte in FILE) + "'",
}
SAVE = "var u=URL.createObjectURL(new Blob([a]));l.href=u;l.download='a.zip';l.click();"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_file_spelt_out_in_a_script_comes_out_and_the_page_is_suspect(spelling: str) -> None:
    found = unpack(f"<html><script>var a={SPELLINGS[spelling]};{SAVE}</script></html>".encode(), "invoice.html")
    assert caught(found)
    assert names(found, Kind.SUSPECT) == {"html-smuggling"}


def test_smuggling_is_known_by_structure_when_the_file_cannot_be_decoded() -> None:
    page = "<html><script>for(i=0;i<s.length;i++)a[i]=s.charCodeAt(i)^k;a=Uint8Array.from(a);window.URL['createObj'+'ectURL'](new Blob([a]))</script></html>"
    assert names(unpack(page.encode(), "a.html"), Kind.SUSPECT) == {"html-smuggling"}
    assert names(unpack(b"<svg xmlns='x'><script>" + page.encode()[14:-16] + b"</script></svg>", "a.svg"), Kind.SUSPECT) == {
        "html-smuggling"
    }


@pytest.mark.parametrize("charset", ["utf-8", "utf-16"])
def test_a_data_link_comes_out_in_any_charset(charset: str) -> None:
    assert caught(unpack(f'<html><a download=a.zip\r\nhref="data:application/zip;base64,{B64}">x</a></html>'.encode(charset), "a.html"))


def test_a_program_full_of_zeros_is_not_taken_for_utf_16() -> None:
    program = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(300)
    found = unpack(b"<script>var d=atob('" + base64.b64encode(program) + b"');</script>", "a.html")
    assert program in [bytes(part.data) for part in found.parts]


def test_a_script_with_a_file_in_base64_gives_it() -> None:
    assert caught(unpack(b"var x='" + base64.b64encode(EICAR) + b"';\r\n", "helper.txt"))


def test_an_encoded_powershell_command_comes_out() -> None:
    command = base64.b64encode(("Invoke-Item x # " + EICAR.decode()).encode("utf-16-le")).decode()
    found = unpack(f"@echo off\r\npowershell -NoP -Enc {command}\r\n".encode(), "a.bat")
    assert any(EICAR in bytes(part.data) for part in found.parts[1:])


@pytest.mark.parametrize(
    "page",
    [
        b"<html><script>document.title='hi';</script><p>hello</p></html>",
        b"<html><body onload=\"init()\"><script src='x.js'></script><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='></body></html>",
        b"<p>Call the Blob( function of createObject, then download it.</p>",
        b"<html><script>function f(){window.open('x','y','width=100,height=200');}</script></html>",
    ],
)
def test_an_honest_page_has_no_finding(page: bytes) -> None:
    assert not unpack(page, "page.html").findings


@pytest.mark.parametrize("kind", ["GIF89a\x01\0\x01\0", "<html><body>hello</body></html>\r\n", "RIFF$\0\0\0WAVEfmt ", "BM"])
def test_an_archive_behind_anything_is_found(kind: str) -> None:
    assert caught(unpack(kind.encode("latin-1") + bytes(20) + FILE, "photo.gif"))


@pytest.mark.parametrize(
    "cells",
    [
        b"=cmd|'/C calc'!A0,1\r\n",
        b"name,value\r\nx,\"=MSEXCEL|'\\..\\..\\..\\Windows\\System32\\cmd.exe /c calc.exe'!''\"\r\n",
        b"1;@SUM(1+1)*cmd|'/C powershell'!A0\n",
    ],
)
def test_a_cell_that_starts_a_program_is_suspect(cells: bytes) -> None:
    assert [finding.name for finding in unpack(cells, "orders.csv").findings] == ["cell-starts-program"]


@pytest.mark.parametrize(
    "cells", [b"a,b\r\n=A1+B1,='Sheet 2'!A1\r\n", b"=IF(A1='x'|'y')\r\n", b"-a | b 'c'! d\r\n" * 1000, b"=" * 100_000 + b"'!"]
)
def test_an_honest_table_has_no_finding(cells: bytes) -> None:
    assert not unpack(cells, "orders.csv").findings
