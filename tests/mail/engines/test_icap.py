"""The ICAP client against a scripted service."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.support.eicar import MARKER
from tests.support.scripted import answering

from gatepost.mail.engines.icap import Icap
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Kind, Message, Part

OPTIONS = b'ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nService: Test 1\r\nISTag: "sig-7"\r\nPreview: 16\r\nEncapsulated: null-body=0\r\n\r\n'
CLEAN = b"ICAP/1.0 204 No Content\r\n\r\n"
FOUND = (
    b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Test.Marker;\r\nEncapsulated: res-hdr=0, res-body=24\r\n\r\n"
    b"HTTP/1.1 403 Forbidden\r\n\r\n5\r\nstop!\r\n0\r\n\r\n"
)


def service(request: bytes) -> bytes:
    """Behave like a scanner that finds the marker."""
    if request.startswith(b"OPTIONS "):
        return OPTIONS
    return FOUND if MARKER in request else CLEAN


def inspect(answer: Callable[[bytes], bytes] | bytes, message: Message, seconds: float = 10.0, **options: object):
    with answering(answer, until=b"0\r\n\r\n" if not callable(answer) or answer is service else b"") as address:
        engine = Icap("icap", {"socket": address, **options})
        return engine.inspect(message, Envelope("", ()), time.monotonic() + seconds)


@pytest.mark.parametrize("method", ["RESPMOD", "REQMOD"])
def test_found_and_clean(method: str):
    """The threat that the service names is the finding, in the part that holds it; all else is clean."""
    (found,) = inspect(service, Message(b"raw", (Part("1", b"x"), Part("2", b"y" * 70_000 + MARKER))), method=method)

    assert (found.kind, found.name, found.part) == (Kind.VIRUS, "Test.Marker", "2")


def test_the_request_is_what_the_standard_wants():
    """The encapsulated message is described exactly, and the content arrives in chunks."""
    seen = []

    def record(request: bytes) -> bytes:
        seen.append(request)
        return CLEAN

    inspect(record, Message(b"content"), service="/srv_scan")
    head, http = seen[0].split(b"\r\n\r\n", 1)
    offsets = dict(item.split("=") for item in head.split(b"Encapsulated: ")[1].split(b"\r\n")[0].decode().split(", "))

    assert head.startswith(b"RESPMOD icap://127.0.0.1:")
    assert b"/srv_scan ICAP/1.0\r\n" in head
    assert http[int(offsets["res-hdr"]) :].startswith(b"HTTP/1.1 200 OK\r\n")
    assert http[int(offsets["res-body"]) :] == b"7\r\ncontent\r\n0\r\n\r\n"


def test_an_echo_of_the_same_content_is_clean_and_a_change_is_not():
    """A service that never says 204 but gives back the content unchanged finds nothing; any other content is a find."""
    reply = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n%s0\r\n\r\n"

    assert inspect(reply % b"3\r\nraw\r\n", Message(b"raw")) == ()
    assert inspect(reply % b"1\r\nr\r\n2\r\naw\r\n", Message(b"raw")) == ()
    (changed,) = inspect(reply % b"3\r\nxxx\r\n", Message(b"raw"))
    assert changed.name == "changed-by-icap-service"


def test_a_block_page_without_a_name_is_a_find():
    """A service that answers with an error page has found something, whatever it is."""
    (found,) = inspect(
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=24\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n0\r\n\r\n", Message(b"raw")
    )

    assert found.name == "blocked-by-icap-service"


def test_preview_when_asked_for():
    """With `preview` the first bytes go first; 100 asks for the rest, and short content says that it is all."""
    requests = []

    def preview(request: bytes) -> bytes:
        requests.append(request)
        return OPTIONS if request.startswith(b"OPTIONS") else CLEAN

    with answering(preview) as address:
        engine = Icap("icap", {"socket": address, "preview": True})
        info = engine.info()
        engine.inspect(Message(b"short"), Envelope("", ()), time.monotonic() + 10)
        engine.inspect(Message(b"l" * 100), Envelope("", ()), time.monotonic() + 10)

    assert (info.version, info.signatures) == ("Test 1", "sig-7")
    assert requests[1].endswith(b"5\r\nshort\r\n0; ieof\r\n\r\n")
    assert b"Preview: 16\r\n" in requests[2]
    assert requests[2].endswith(b"10\r\n" + b"l" * 16 + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0" * 64,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\n",
        b"ICAP/1.0 404 Service not found\r\n\r\n",
        b"ICAP/1.0 500 Server error\r\n\r\n",
        b"ICAP/1.0 100 Continue\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n3\r\nra",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\nzz\r\nraw\r\n0\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\nbroken line\r\n\r\n",
        b"A" * 200_000,
    ],
)
def test_anything_else_is_an_error(reply: bytes):
    """A reply that is neither clean nor found, cut or mangled is a failure."""
    with pytest.raises(EngineError):
        inspect(reply, Message(b"raw"))


def test_too_large_is_unchecked():
    """Content over max_size is not sent and not clean."""
    (unseen,) = inspect(service, Message(b"x" * 100), max_size=99)

    assert unseen.kind is Kind.UNCHECKED
