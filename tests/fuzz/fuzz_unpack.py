"""Any bytes at all, attached under any name, are unpacked without an exception, and the part itself is always among the parts."""

from __future__ import annotations

import gzip
import time

from gatepost.mail.model import Budget, Limits, Part
from gatepost.mail.unpack import external, walk
from tests.support.containers import ZipFile, cms, compound, ole1, package, pdf, tnef, zip_of
from tests.support.eicar import MARKER
from tests.support.unpacking import read_mail

_ZIP = zip_of(ZipFile.of(b"a.txt", MARKER), ZipFile.of(b"b.bin", MARKER, method=0))
SEEDS = (
    _ZIP,
    gzip.compress(MARKER),
    compound({"WordDocument": bytes(4096), "\x01Ole10Native": bytes(4) + package(b"a.exe", MARKER)}),
    pdf(MARKER),
    tnef(b"a.txt", MARKER),
    cms("signed", MARKER, pieces=7),
    b"{\\rtf1{\\object{\\*\\objdata " + ole1(b"Package", package(b"a", MARKER)).hex().encode() + b"}}}",
    b"<html><script>var a=[" + b",".join(b"%d" % byte for byte in MARKER) + b"]</script></html>",
)


def target(data: bytes) -> None:
    external.switch(on=False)
    try:
        found = walk([Part("1", data, ("a.bin",))], Budget(Limits(), time.process_time, time.monotonic), read_mail, ("infected",))
    finally:
        external.switch(on=True)
    assert found.parts[0].path == "1"
    assert found.parts[0].type
