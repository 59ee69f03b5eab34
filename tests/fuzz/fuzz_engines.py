"""Whatever an engine sends, its reply is either understood exactly or refused with EngineError; only the exact words mean "clean"."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from gatepost.mail.engines.clamav import parse_reply, parse_version
from gatepost.mail.engines.command import judge as judge_command
from gatepost.mail.engines.icap import judge as judge_icap
from gatepost.mail.engines.names import extensions, trick
from gatepost.mail.engines.presets import PRESETS
from gatepost.mail.engines.reply import dechunk, parse, split_head
from gatepost.mail.engines.rspamd import parse_checked
from gatepost.mail.engines.spamassassin import parse_score
from gatepost.mail.inspect.engine import EngineError
from gatepost.system.children import Outcome

SEEDS = (
    b"stream: OK\0",
    b"fd[10]: Test.EICAR FOUND\0",
    b"stream: Access denied. ERROR\0",
    b"ClamAV 1.4.6/27822/Sun Nov 22 09:25:01 2026\0",
    b"SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\nSpam: True ; 7.5 / 5.0\r\n\r\nRULE_A,B\n",
    b'HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n{"score": 7.5, "action": "reject", "symbols": {}}',
    b"ICAP/1.0 204 No Content\r\n\r\n",
    b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n4\r\nsent\r\n0\r\n\r\n",
    b"\0/tmp/part-0: Test.EICAR FOUND\n0 threat(s) detected\nInfected files: 0\n",
    "invoice.pdf\u202e.ＥＸＥ::$DATA".encode(),
)


def target(data: bytes) -> None:
    for judge in (_clamd, _spamd, _rspamd, _icap, _command, _names):
        with suppress(EngineError):
            judge(data)


def _clamd(data: bytes) -> None:
    _quietly(parse_version, data)
    if parse_reply(data) is None:
        assert data.startswith((b"stream: ", b"fd["))
        assert data.endswith(b": OK\0")
        assert data.count(b"\0") == 1


def _spamd(data: bytes) -> None:
    score, _ = parse_score(parse(data, "SPAMD"))
    assert abs(score) < float("inf")


def _rspamd(data: bytes) -> None:
    checked = parse_checked(parse(data, "HTTP"))
    assert abs(checked.score) < float("inf")


def _icap(data: bytes) -> None:
    _quietly(dechunk, data)
    found = split_head(data, "ICAP")
    if found and judge_icap(*found, b"sent") is None:
        assert found[0].code == 204 or b"sent" in data or dechunk(found[1].partition(b"\r\n\r\n")[2]) == b"sent"


def _command(data: bytes) -> None:
    status = data[0] if data else 0
    for preset in PRESETS.values():
        with suppress(EngineError):
            if not judge_command(preset, Outcome(status, data, b"")):
                assert status in preset.clean


def _names(data: bytes) -> None:
    name = data.decode("utf-8", "surrogateescape")
    trick(name)
    assert all(found and found == found.lower() and "." not in found for found in extensions(name))


def _quietly(function: Callable[[bytes], object], data: bytes) -> None:
    with suppress(EngineError):
        function(data)
