"""Evasion by pages and scripts that build a file on the reader's machine (HTML smuggling, MITRE ATT&CK T1027.006)."""

from __future__ import annotations

import base64
import html
import urllib.parse

from tests.support.evasive.craft import PAYLOAD, Case, Cases, attached, mail, xor, zipped

B64 = base64.b64encode(PAYLOAD).decode()
OFFER = "var l=document.createElement('a');l.href=URL.createObjectURL(new Blob([a]));l.download='report.zip';l.click();"


def page(script: str) -> bytes:
    return f"<html><body>Your file is ready.<script>{script}</script></body></html>".encode()


def _page(script: str, name: str = "report.html") -> bytes:
    return attached(page(script), name, b"Content-Type: text/html")


def builders() -> Cases:
    """Bytes built in every way, offered in the usual one."""
    cases = Cases()
    numbers = ",".join(str(byte) for byte in PAYLOAD)
    bare = {
        "char codes": f"var s=String.fromCharCode({numbers});var a=Uint8Array.from(s,c=>c.charCodeAt(0));",
        "Uint8Array.from": f"var a=Uint8Array.from([{numbers}]);",
        "numbers split at dashes": f"var a=new Uint8Array('{'-'.join(str(byte) for byte in PAYLOAD)}'.split('-').map(Number));",
        "exclusive or": f"var a=Uint8Array.from(atob('{base64.b64encode(xor(PAYLOAD, 42)).decode()}'),c=>c.charCodeAt(0)^42);",
        "exclusive or over numbers": f"var a=new Uint8Array([{','.join(str(b) for b in xor(PAYLOAD, 99))}].map(x=>x^99));",
        "reversed numbers": f"var a=new Uint8Array([{','.join(str(b) for b in reversed(PAYLOAD))}].reverse());",
        "text decoder over hexadecimal": f"var h='{PAYLOAD.hex()}',a=new TextEncoder().encode(h.replace(/../g,p=>String.fromCharCode('0x'+p)));",
        "fetch of a data: link in pieces": f"fetch('data:application/octet-stream;'+'base64,'+'{B64}').then(r=>r.blob()).then(b=>{{var l=document.createElement('a');l.href=URL.createObjectURL(b);l.download='r.zip';l.click()}});",
        "base64 in a hidden field": f"</script><input id=x type=hidden value='{B64}'><script>var a=Uint8Array.from(atob(document.getElementById('x').value),c=>c.charCodeAt(0));",
        "base64 in an attribute": f"</script><div id=x data-f='{B64}'></div><script>var a=Uint8Array.from(atob(x.dataset.f),c=>c.charCodeAt(0));",
        "base64 with a foreign letter put in": f"var a=Uint8Array.from(atob('{'*'.join(B64[n : n + 5] for n in range(0, len(B64), 5))}'.replace(/\\*/g,'')),c=>c.charCodeAt(0));",
        "base64 in template lines": "var a=Uint8Array.from(atob(`"
        + "\n".join(B64[n : n + 20] for n in range(0, len(B64), 20))
        + "`),c=>c.charCodeAt(0));",
        "base64 pieces with comments between": "var a=Uint8Array.from(atob("
        + "/*x*/+/*y*/".join(f"'{B64[n : n + 9]}'" for n in range(0, len(B64), 9))
        + "),c=>c.charCodeAt(0));",
        "words of the language as escapes": f"var a=window['\\x61\\x74\\x6f\\x62']('{B64}');var f=new window['\\x42lob']([a]);location.href=window['URL']['create'+'ObjectURL'](f);",
        "words of the language joined": f"var q=window,a=q['at'+'ob']('{B64}'),f=new q['Bl'+'ob']([a]),l=q.document['create'+'Element']('a');l['hr'+'ef']=q['U'+'RL']['createObj'+'ectURL'](f);l['down'+'load']='r.zip';l['cl'+'ick']();",
        "decompressed in the browser": f"new Response(new Blob([Uint8Array.from(atob('{B64}'),c=>c.charCodeAt(0))]).stream().pipeThrough(new DecompressionStream('gzip'))).blob().then(b=>location=URL.createObjectURL(b));",
        "file reader": f"var r=new FileReader();r.onload=()=>{{location.href=r.result}};r.readAsDataURL(new File([atob('{B64}')],'r.zip'));",
        "a data: link as address": f"location.href='data:application/zip;base64,'+'{B64}';",
        "old Internet Explorer": f"navigator.msSaveOrOpenBlob(new Blob([atob('{B64}')]),'r.zip');",
    }
    for name, script in bare.items():
        whole = script if any(word in script for word in ("location", "fetch", "msSave", "createObj")) else script + OFFER
        cases.add(f"script: {name}", _page(whole), seen=False)
    return cases


def hiders() -> Cases:
    """Pages in pages, and scripts where one would not look."""
    cases = Cases()
    script = f"var a=Uint8Array.from(atob('{B64}'),c=>c.charCodeAt(0));{OFFER}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><script type="text/javascript"><![CDATA[{script}]]></script></svg>'
    link = f"data:application/zip;base64,{B64}"
    add = cases.add
    add(
        "SVG with a script in a page in a ZIP",
        attached(
            zipped(("a.html", f'<html><embed src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"></html>'.encode())),
            "a.zip",
        ),
        seen=False,
    )
    add(
        "SVG whose script is in an event",
        attached(
            f'<svg xmlns="http://www.w3.org/2000/svg" onload="{html.escape(script)}"/>'.encode(), "logo.svg", b"Content-Type: image/svg+xml"
        ),
        seen=False,
    )
    add(
        "page in a frame's srcdoc, as entities",
        attached(
            f'<html><iframe srcdoc="{html.escape(page(script).decode())}"></iframe></html>'.encode(), "a.html", b"Content-Type: text/html"
        ),
        seen=False,
    )
    add(
        "page in a frame's srcdoc, every letter an entity",
        attached(
            b'<html><iframe srcdoc="' + b"".join(b"&#%d;" % byte for byte in page(script)) + b'"></iframe></html>',
            "a.html",
            b"Content-Type: text/html",
        ),
        seen=False,
    )
    add(
        "data: link with letters as entities",
        attached(
            f'<html><a download=a.zip href="{"".join(f"&#x{ord(c):x};" if n % 3 == 0 else c for n, c in enumerate(link))}">x</a></html>'.encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
    )
    add(
        "data: link with percent signs",
        attached(
            f'<html><a download=a.zip href="data:application/zip,{urllib.parse.quote_from_bytes(PAYLOAD, safe="")}">x</a></html>'.encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
    )
    add(
        "data: link broken over lines",
        attached(
            (
                '<html><a download=a.zip href="' + "\r\n\t".join(link[n : n + 30] for n in range(0, len(link), 30)) + '">x</a></html>'
            ).encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
    )
    add(
        "data: link in capitals with parameters",
        attached(
            f'<html><a download=a.zip href="DATA:application/zip;name=a.zip;charset=x;BASE64,{B64}">x</a></html>'.encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
    )
    add("page written by unescape", _page(f"document.write(unescape('{urllib.parse.quote(page(script).decode(), safe='')}'));"), seen=False)
    add("page written by atob", _page(f"document.write(atob('{base64.b64encode(page(script)).decode()}'));"), seen=False)
    add(
        "page written by evaluated char codes",
        _page(f"eval(String.fromCharCode({','.join(str(b) for b in script.encode())}));"),
        seen=False,
    )
    add(
        "script in an event of a broken picture",
        attached(
            f"<html><img src=x onerror=\"eval(atob('{base64.b64encode(script.encode()).decode()}'))\"></html>".encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
        seen=False,
    )
    add(
        "script from a data: link",
        attached(
            f'<html><script src="data:text/javascript;base64,{base64.b64encode(script.encode()).decode()}"></script></html>'.encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
        seen=False,
    )
    add(
        "page that replaces itself",
        attached(
            f'<html><meta content="0; url=data:text/html;base64,{base64.b64encode(page(script)).decode()}" http-equiv=refresh></html>'.encode(),
            "a.html",
            b"Content-Type: text/html",
        ),
        seen=False,
    )
    add("page called txt in the letter's own HTML", mail(b"Content-Type: text/html; charset=utf-8", body=page(script)), seen=False)
    add(
        "page as XHTML with CDATA",
        attached(
            f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script><![CDATA[{script}]]></script></html>'.encode(),
            "a.xhtml",
            b"Content-Type: application/xhtml+xml",
        ),
        seen=False,
    )
    add(
        "page in UTF-16 without a mark in an attachment",
        attached(page(script).decode().encode("utf-16-le"), "a.html", b"Content-Type: text/html"),
        seen=False,
    )
    add(
        "page after 40 KB of comment",
        attached(b"<!--" + b"x " * 20000 + b"-->" + page(script), "a.html", b"Content-Type: text/html"),
        seen=False,
    )
    add(
        "page with NULs in its words",
        attached(page(script).replace(b"<script>", b"<scr\0ipt>").replace(b"atob", b"ato\0b"), "a.html", b"Content-Type: text/html"),
        seen=False,
    )
    add("page called PDF", attached(page(script), "report.pdf", b"Content-Type: application/pdf"), seen=False)
    return cases


def cases() -> list[Case]:
    return [*builders(), *hiders()]
