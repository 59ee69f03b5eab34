"""Three milters in a row on both MTAs, all of them real: SpamAssassin's, Gatepost, OpenDKIM. Signatures of others hold, and so do ours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dkim
import pytest

from gatepost.relay import dkim_key
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, send
from tests.support.milters import dns, make_key, running_opendkim, running_spamass_milter
from tests.support.ports import free_port
from tests.support.relays import Relay
from tests.support.sink import Sink

pytestmark = pytest.mark.system

ROW = """
[[relay.milters]]
name = "spamass"
socket = "unix:{home}/spamass.sock"
place = "before"

[relay.dkim]
selector = "gp1"
key = "{safe}/gp1.private"
socket = "127.0.0.1:{port}"
"""
OURS = CLEAN.replace(b"carol@partner.example", b"bob@widget.example", 1)


@dataclass
class Row:
    """A relay with three milters, and the keys that DNS would give."""

    relay: Relay
    gateway: Gateway
    keys: dict[str, str]


@pytest.fixture
def safe() -> Iterator[Path]:
    """A folder for keys: OpenDKIM refuses one below a folder that others may write, as /tmp is, and /run in some containers."""
    with tempfile.TemporaryDirectory(prefix="gp-", dir="/var/lib") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def row(home: Path, safe: Path, gateway: Callable[..., Gateway], relay: Callable[..., Relay], spamd: str) -> Iterator[Row]:
    (home / "opendkim").mkdir()
    keys = {"gp1._domainkey.widget.example": make_key(safe / "gp1.private")}
    with ExitStack() as stack:
        first = gateway()
        stack.enter_context(running_spamass_milter(home / "spamass.sock", spamd))
        server = relay(first.milter, extra=ROW.format(home=home, safe=safe, port=free_port()))
        assert server.site is not None
        stack.enter_context(running_opendkim(server.site, home / "opendkim"))
        yield Row(server, first, keys)


def test_three_milters_in_a_row_judge_tag_and_sign_and_no_signature_breaks(row: Row, sink: Sink) -> None:
    """One long test, since all six daemons are started for it."""
    private = dkim_key.make()
    keys = dns(row.keys | {"p1._domainkey.partner.example": dkim_key.public(private)})
    signed = dkim.sign(CLEAN, b"p1", b"partner.example", private, include_headers=[b"from", b"to", b"subject"]) + CLEAN

    assert send(row.relay.port, signed)[0] == 250, row.relay.log()
    assert send(row.relay.port, OURS, "bob@widget.example", ("carol@partner.example",))[0] == 250, row.relay.log()
    assert {send(row.relay.port, content)[0] for content in INFECTED.values()} == {550}

    theirs, ours = sorted(sink.wait(2), key=lambda one: one.sender, reverse=True)
    assert (theirs.sender, ours.sender) == ("carol@partner.example", "bob@widget.example")
    for one, domain in ((theirs, b"d=partner.example;"), (ours, b"d=widget.example;")):
        assert dkim.verify(one.content, dnsfunc=keys)
        head = one.content.split(b"\r\n\r\n")[0]
        assert [head.count(name) for name in (domain, b"X-Spam-Status: ", b"X-Gatepost-Scan: ", b"DKIM-Signature:")] == [1, 1, 1, 1]
    assert not dkim.verify(ours.content.replace(b"see you", b"see me"), dnsfunc=keys)
    assert len(sink.delivered) == 2
