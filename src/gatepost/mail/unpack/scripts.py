"""Telling scripts, shortcuts and marked-up texts from plain text.

What it does: names the type of a text by what stands in its beginning.
Not its job: binary types (`filetype`).
Raises: nothing.
"""

from __future__ import annotations

import re

# What no ordinary letter begins with. `needle` (lower case) must occur in the first KiB before the pattern is tried; "" tries it at the very start only.
_MARKS: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = tuple(
    (kind, needle, re.compile(pattern, re.IGNORECASE))
    for kind, needle, pattern in (
        ("hta", b"<hta:application", rb"<hta:application"),
        ("wsf", b"<", rb"<(?:\?xml[^>]*>\s*<)?(?:job|package|scriptlet|component)\b[^>]*>[\s\S]{0,2000}?<(?:script|registration)"),
        ("settingcontent", b"<pcsettings", rb"<pcsettings"),
        ("library-ms", b"description", rb"<(?:librarydescription|searchconnectordescription)"),
        ("application-ref", b".application#", rb"\A[^\r\n]{4,200}\.application#"),
        ("svg", b"<svg", rb"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]{0,500}?-->\s*)?(?:<!doctype svg[^>]*>\s*)?<svg[\s>]"),
        (
            "html",
            b"<",
            rb"\A\s*(?:<!--[\s\S]{0,500}?-->\s*)?<(?:!doctype html|html|head|body|script|table|div|meta|center|font|p|br|a|img|iframe|style|title)\b",
        ),
        ("html", b"<html", rb"<html[\s>]"),
        ("html", b"<body", rb"<body[\s>]"),
        ("xml", b"<", rb"\A\s*(?:<\?xml|<[a-z][\w:.-]*(?:\s[^<>]*)?>\s*<)"),
        ("encoded-script", b"#@~^", rb"#@~\^[a-z0-9+/]{6}=="),
        ("registry", b"reg", rb"\A(?:Windows Registry Editor Version|REGEDIT4)"),
        ("url", b"[internetshortcut]", rb"(?m:^)\[InternetShortcut\]"),
        ("desktop", b"[desktop entry]", rb"(?m:^)\[Desktop Entry\]"),
        ("inf", b"[version]", rb"(?m:^)\[Version\]\s[\s\S]{0,300}?signature\s*="),
        ("rdp", b"full address:s:", rb"full address:s:"),
        ("iqy", b"web", rb"\AWEB\r?\n1\r?\nhttp"),
        ("slk", b"id;p", rb"\AID;P"),
        ("shell", b"#!", rb"\A#!\s*/\S*/(?:ba|da|z|k|c|tc|a)?sh\b"),
        ("interpreter-script", b"#!", rb"\A#!\s*/"),
        ("batch", b"", rb"\A\s*@?(?:echo off|setlocal|rem\s.*\r\n@?(?:set|echo|start|cmd))\b"),
        ("pgp-message", b"-----begin pgp message", rb"\A\s*-----BEGIN PGP MESSAGE-----"),
        ("pgp-signature", b"-----begin pgp signature", rb"\A-----BEGIN PGP SIGNATURE-----"),
        ("pem", b"-----begin ", rb"\A\s*-----BEGIN [A-Z0-9 ]{3,40}-----"),
        ("calendar", b"begin:vcalendar", rb"\ABEGIN:VCALENDAR"),
        ("vcard", b"begin:vcard", rb"\ABEGIN:VCARD"),
        ("mbox", b"from ", rb"\AFrom \S+ .{0,60}\d\d:\d\d.{0,20}\d{4}[^\n]*\n[A-Za-z][\w-]{0,60}:"),
        (
            "mail",
            b":",
            (
                rb"\A(?:Received|Return-Path|From|To|Subject|Date|Message-ID|MIME-Version|Content-Type|Content-Transfer-Encoding|Content-Disposition|"
                rb"Delivered-To|DKIM-Signature|X-[\w-]+|Reply-To|Sender|Cc)[ \t]*:"
            ),
        ),
        ("encoded-text", b"begin ", rb"(?m:^)begin(?:-base64)? [0-7]{3,4} \S"),
        ("encoded-text", b"=ybegin ", rb"(?m:^)=ybegin "),
        ("encoded-text", b"(this file must be converted with binhex", rb"\(This file must be converted with BinHex"),
    )
)

# Signs of code; two different ones make a script, since one can stand in any letter about computers. A needle in lower case goes before each pattern.
_SIGNS: tuple[tuple[str, tuple[tuple[bytes, re.Pattern[bytes]], ...]], ...] = tuple(
    (kind, tuple((needle, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for needle, pattern in patterns))
    for kind, patterns in (
        (
            "javascript",
            (
                (b"activexobject", rb"\bnew\s+ActiveXObject\s*\("),
                (b"wscript.", rb"\bWScript\.(?:Shell|CreateObject|Quit|Sleep|Echo)"),
                (b"=", rb"^\s*(?:var|let|const)\s+\w+\s*="),
                (b"eval", rb"\beval\s*\("),
                (b"fromcharcode", rb"\bString\.fromCharCode\b"),
                (b"function", rb"^\s*function\s+\w*\s*\([^)\r\n]*\)\s*\{"),
                (b");", rb"\.(?:join|replace|split)\([^\r\n]*\)\s*;"),
                (b"atob", rb"\batob\s*\("),
            ),
        ),
        (
            "vbscript",
            (
                (b"createobject", rb"\bCreateObject\s*\("),
                (b"dim ", rb"^\s*(?:Dim|ReDim)\s+\w+"),
                (b"set ", rb"^\s*Set\s+\w+\s*="),
                (b"on error resume", rb"^\s*On\s+Error\s+Resume\s+Next"),
                (b"execute", rb"\bExecute(?:Global)?\s*\("),
                (b"sub ", rb"^\s*Sub\s+\w+\s*(?:\(|\r?$)"),
                (b"wscript.", rb"\bWScript\."),
            ),
        ),
        (
            "powershell",
            (
                (b"e", rb"\b(?:Invoke-Expression|IEX)\b"),
                (b"new-object", rb"\bNew-Object\s+[\w.]+"),
                (b"]::", rb"\[(?:System\.)?(?:Convert|Text\.Encoding|Reflection\.Assembly|IO\.\w+)\]::"),
                (b"$", rb"^\s*\$\w+\s*="),
                (b"param", rb"^\s*param\s*\("),
                (b"download", rb"\bDownload(?:String|File)\b"),
                (b"invoke-webrequest", rb"\bInvoke-WebRequest\b"),
                (b"function", rb"^\s*function\s+[A-Z][\w]*-\w+"),
            ),
        ),
        (
            "batch",
            (
                (b"echo off", rb"^\s*@?echo\s+off\b"),
                (b"set ", rb"^\s*set\s+\"?\w+="),
                (b"%~", rb"%~d?p?n?x?[0-9]"),
                (b"%%", rb"^\s*for\s+(?:/[fl]|%%)"),
                (b"if ", rb"^\s*if\s+(?:not\s+)?exist\b"),
                (b'start "', rb"^\s*start\s+\""),
                (b"powershell", rb"^\s*powershell(?:\.exe)?\s+-"),
            ),
        ),
    )
)

_ENOUGH = 2
_CODE_BYTES = (b"(", b"=", b"%")


def text_type(head: bytes) -> str:
    """The type id of a text whose beginning is `head`; "text" when it is none of the special ones."""
    text = _eight_bit(head)
    start = text[:1024]
    lower = text.lower()
    lower_start = lower[:1024]
    for kind, needle, pattern in _MARKS:
        if needle in lower_start and (pattern.search(start) if needle else pattern.match(start)):
            return kind
    if any(byte in text for byte in _CODE_BYTES):
        for kind, signs in _SIGNS:
            if sum(1 for needle, pattern in signs if needle in lower and pattern.search(text)) >= _ENOUGH:
                return kind
    if start[:1] in {b"{", b"["} and text.rstrip()[-1:] in {b"}", b"]", b",", b'"'}:
        return "json"
    return "text"


def _eight_bit(head: bytes) -> bytes:
    """A text in UTF-16 or with a UTF-8 mark, as its ASCII letters."""
    if head[:2] == b"\xff\xfe":
        return head[2:].decode("utf-16-le", "replace").encode("latin-1", "replace")
    if head[:2] == b"\xfe\xff":
        return head[2:].decode("utf-16-be", "replace").encode("latin-1", "replace")
    return head.removeprefix(b"\xef\xbb\xbf")
