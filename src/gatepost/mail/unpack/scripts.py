"""Telling scripts, shortcuts and marked-up texts from plain text.

What it does: names the type of a text by what stands in its beginning.
Not its job: binary types (`filetype`).
Raises: nothing.
"""

from __future__ import annotations

import re

# A mark that no ordinary letter begins with: the first that matches in the first KiB names the type.
_MARKS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("hta", rb"<hta:application"),
        ("wsf", rb"<(?:\?xml[^>]*>\s*<)?(?:job|package|scriptlet|component)\b[^>]*>[\s\S]{0,2000}<(?:script|registration)"),
        ("settingcontent", rb"<pcsettings"),
        ("library-ms", rb"<(?:librarydescription|searchconnectordescription|persistedquery)"),
        ("application-ref", rb"\A[^\r\n]{4,200}\.application#"),
        ("svg", rb"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]{0,500}?-->\s*)?(?:<!doctype svg[^>]*>\s*)?<svg[\s>]"),
        (
            "html",
            rb"\A\s*(?:<!--[\s\S]{0,500}?-->\s*)?<(?:!doctype html|html|head|body|script|table|div|meta|center|font|p|br|a|img|iframe|style|title)\b|<html[\s>]|<body[\s>]",
        ),
        ("xml", rb"\A\s*<\?xml|\A\s*<[a-z][\w:.-]*(?:\s[^<>]*)?>\s*<"),
        ("encoded-script", rb"#@~\^[a-z0-9+/]{6}=="),
        ("registry", rb"\A(?:Windows Registry Editor Version|REGEDIT4)"),
        ("url", rb"^\[InternetShortcut\]"),
        ("desktop", rb"^\[Desktop Entry\]"),
        ("inf", rb"^\[Version\]\s[\s\S]{0,300}^signature\s*="),
        ("rdp", rb"\A[\s\S]{0,600}^full address:s:"),
        ("iqy", rb"\AWEB\r?\n1\r?\nhttp"),
        ("slk", rb"\AID;P"),
        ("shell", rb"\A#!\s*/\S*/(?:ba|da|z|k|c|tc|a)?sh\b"),
        ("interpreter-script", rb"\A#!\s*/"),
        ("batch", rb"\A\s*@?(?:echo off|setlocal|rem\s.*\r\n@?(?:set|echo|start|cmd))\b"),
        ("pgp-message", rb"^-----BEGIN PGP MESSAGE-----"),
        ("pgp-signature", rb"\A-----BEGIN PGP SIGNATURE-----"),
        ("pem", rb"\A\s*-----BEGIN [A-Z0-9 ]{3,40}-----"),
        ("calendar", rb"\ABEGIN:VCALENDAR"),
        ("vcard", rb"\ABEGIN:VCARD"),
        ("mbox", rb"\AFrom \S+ .{0,60}\d\d:\d\d.{0,20}\d{4}[^\n]*\n[A-Za-z][\w-]{0,60}:"),
        (
            "mail",
            rb"\A(?:(?:Received|Return-Path|From|To|Subject|Date|Message-ID|MIME-Version|Content-Type|Content-Transfer-Encoding|Delivered-To|DKIM-Signature|X-[\w-]+|Reply-To|Sender|Cc)[ \t]*:)",
        ),
    )
)

# Signs of code; two different ones make a script, since one can stand in any letter about computers.
_SIGNS: tuple[tuple[str, tuple[re.Pattern[bytes], ...]], ...] = tuple(
    (kind, tuple(re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in patterns))
    for kind, patterns in (
        (
            "javascript",
            (
                rb"\bnew\s+ActiveXObject\s*\(",
                rb"\bWScript\.(?:Shell|CreateObject|Quit|Sleep|Echo)",
                rb"^\s*(?:var|let|const)\s+\w+\s*=",
                rb"\beval\s*\(",
                rb"\bString\.fromCharCode\b",
                rb"^\s*function\s+\w*\s*\([^)\r\n]*\)\s*\{",
                rb"\.(?:join|replace|split)\([^\r\n]*\)\s*;",
                rb"\batob\s*\(",
            ),
        ),
        (
            "vbscript",
            (
                rb"\bCreateObject\s*\(",
                rb"^\s*(?:Dim|ReDim)\s+\w+",
                rb"^\s*Set\s+\w+\s*=",
                rb"^\s*On\s+Error\s+Resume\s+Next",
                rb"\bExecute(?:Global)?\s*\(",
                rb"^\s*(?:Sub|Function)\s+\w+\s*(?:\(|\r?$)",
                rb"\bWScript\.",
            ),
        ),
        (
            "powershell",
            (
                rb"\b(?:Invoke-Expression|IEX)\b",
                rb"\bNew-Object\s+[\w.]+",
                rb"\[(?:System\.)?(?:Convert|Text\.Encoding|Reflection\.Assembly|IO\.\w+)\]::",
                rb"^\s*\$\w+\s*=",
                rb"^\s*param\s*\(",
                rb"\bInvoke-WebRequest\b|\bDownload(?:String|File)\b",
                rb"^\s*function\s+[A-Z][\w]*-\w+",
            ),
        ),
        (
            "batch",
            (
                rb"^\s*@?echo\s+off\b",
                rb"^\s*set\s+\"?\w+=",
                rb"%~d?p?n?x?[0-9]",
                rb"^\s*(?:if|for)\s+(?:not\s+)?(?:exist|/[fl]|%%)",
                rb"^\s*start\s+\"",
                rb"^\s*powershell(?:\.exe)?\s+-",
                rb"^:\w+\s*$",
            ),
        ),
    )
)

_ENOUGH = 2


def text_type(head: bytes) -> str:
    """The type id of a text whose beginning is `head`; "text" when it is none of the special ones."""
    text = _eight_bit(head)
    start = text[:1024]
    if b"<" in start or b":" in start or start[:1] in b"#[@-BWRIer \r\n\t":
        for kind, pattern in _MARKS:
            if pattern.search(start):
                return kind
    if b"(" in text or b"=" in text or b"%" in text:
        for kind, patterns in _SIGNS:
            if sum(1 for pattern in patterns if pattern.search(text)) >= _ENOUGH:
                return kind
    if start[:1] in b"{[" and text.rstrip()[-1:] in b'}],"':
        return "json"
    return "text"


def _eight_bit(head: bytes) -> bytes:
    """A text in UTF-16 or with a UTF-8 mark, as its ASCII letters."""
    if head[:2] == b"\xff\xfe":
        return head[2:].decode("utf-16-le", "replace").encode("latin-1", "replace")
    if head[:2] == b"\xfe\xff":
        return head[2:].decode("utf-16-be", "replace").encode("latin-1", "replace")
    return head.removeprefix(b"\xef\xbb\xbf")
