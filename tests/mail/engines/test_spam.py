"""Spam scores of SpamAssassin and rspamd: real daemons, and every reply that is not a score."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.support.rspamd import rspamd
from tests.support.scripted import answering
from tests.support.spamd import spamd

from gatepost.mail.engines.rspamd import Rspamd
from gatepost.mail.engines.spamassassin import Spamassassin, trace
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Kind, Message

__all__ = ["rspamd", "spamd"]

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
HEAD = (
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: minutes of the meeting\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
)
HAM = Message(HEAD + b"Dear Bob,\r\n\r\nplease find the minutes of our meeting below.\r\n\r\nAnn\r\n", plain=True)
SPAM = Message(HEAD + GTUBE + b"\r\n", plain=True)
ENVELOPE = Envelope("ann@example.org", ("bob@example.com",), "192.0.2.1", "mail.example.org", "mail.example.org", received=1_795_428_000.0)
Make = Callable[..., Spamassassin | Rspamd]


def score(engine: Spamassassin | Rspamd, message: Message, seconds: float = 60.0) -> float:
    findings = engine.inspect(message, ENVELOPE, time.monotonic() + seconds)
    assert all(finding.kind is Kind.SPAM for finding in findings)
    return findings[0].score if findings else 0.0


@pytest.mark.system
def test_real_spamd_scores_spam_and_ham(spamd: str):
    """The standard test string for spam gets far over a thousand points with its rule named, an honest letter hardly any."""
    engine = Spamassassin("spamassassin", {"socket": spamd})
    (found,) = engine.inspect(SPAM, ENVELOPE, time.monotonic() + 60)

    assert found.score > 500
    assert "GTUBE" in found.detail
    assert score(engine, HAM) < 5


@pytest.mark.system
def test_spamd_gets_the_beginning_of_a_large_mail(spamd: str):
    """A mail over max_size is scored by its beginning."""
    engine = Spamassassin("spamassassin", {"socket": spamd, "max_size": 2000})

    assert score(engine, Message(HEAD + GTUBE + b"\r\n" + b"x" * 60 * 1000)) > 500


@pytest.mark.system
@pytest.mark.xdist_group("rspamd")
def test_real_rspamd_scores_spam_and_ham(rspamd: str):
    """The same with rspamd, which also says its version."""
    engine = Rspamd("rspamd", {"socket": rspamd})
    (found,) = engine.inspect(SPAM, ENVELOPE, time.monotonic() + 60)

    assert found.score >= 15
    assert "GTUBE" in found.detail or "reject" in found.detail
    assert score(engine, HAM) < 15
    assert engine.info().version.startswith("rspamd")


SPAMD_REPLY = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\nSpam: True ; 7.5 / 5.0\r\n\r\nRULE_A,B\n"
RSPAMD_BODY = (
    b'{"score": 7.5, "action": "add header", "symbols": {"RULE_A": {"name": "RULE_A", "score": 7.5}, "ZERO": {"score": 0}}, "x": []}'
)
RSPAMD_REPLY = b"HTTP/1.1 200 OK\r\nServer: rspamd/3.4\r\nContent-Length: %d\r\n\r\n%s" % (len(RSPAMD_BODY), RSPAMD_BODY)


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.parametrize(("make", "reply"), [(Spamassassin, SPAMD_REPLY), (Rspamd, RSPAMD_REPLY)])
def test_score_and_rules_are_read(make: Make, reply: bytes):
    """Points and rules come out of an exact reply; below `least` there is no finding."""
    with answering(reply) as address:
        (found,) = make("spam", {"socket": address}).inspect(HAM, ENVELOPE, time.monotonic() + 10)
        below = make("spam", {"socket": address, "least": 8.0}).inspect(HAM, ENVELOPE, time.monotonic() + 10)

    assert (found.score, found.source) == (7.5, "spam")
    assert "RULE_A" in found.detail
    assert below == ()


@pytest.mark.parametrize(("make", "reply"), [(Spamassassin, SPAMD_REPLY), (Rspamd, RSPAMD_REPLY)])
def test_a_cut_reply_is_no_score(make: Make, reply: bytes):
    """A reply cut at any byte is a failure, not a mail without spam."""
    for cut in range(0, len(reply), 7 if len(reply) > 100 else 1):
        with answering(reply[:cut]) as address, pytest.raises(EngineError):
            score(make("spam", {"socket": address}), HAM, 10)


@pytest.mark.parametrize(
    ("make", "reply"),
    [
        (Spamassassin, b"SPAMD/1.1 74 EX_IOERR\r\nContent-length: 0\r\n\r\n"),
        (Spamassassin, SPAMD_REPLY.replace(b"True ; 7.5", b"True ; nan")),
        (Spamassassin, SPAMD_REPLY.replace(b"Spam:", b"Ham:")),
        (Spamassassin, b"\0" * 500),
        (Spamassassin, b"A" * 1_000_000),
        (Rspamd, http(b"", b"500 oops")),
        (Rspamd, http(b"pong")),
        (Rspamd, http(b'{"action": "reject"}')),
        (Rspamd, http(b'{"score": "high", "action": "reject"}')),
        (Rspamd, http(b'{"score": 1, "action": "no action", "is_skipped": true}')),
        (Rspamd, http(b"[" * 100_000)),
        (Rspamd, RSPAMD_REPLY + b"more"),
        (Rspamd, RSPAMD_REPLY.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n", 1)),
        (Rspamd, b"\0" * 500),
        (Rspamd, b"A" * 5_000_000),
    ],
)
def test_anything_else_is_an_error(make: Make, reply: bytes):
    """Errors, garbage, floods and replies without a number are failures."""
    with answering(reply) as address, pytest.raises(EngineError):
        score(make("spam", {"socket": address}), HAM, 10)


def test_an_envelope_cannot_smuggle_fields():
    """Line ends in what a sender says of himself end up neither in trace fields nor in request fields."""
    evil = Envelope("a@b>\r\nX-Spam: no", ("c\r\nPass: all",), "192.0.2.1", "h\r\nEvil: 1", "helo\nEvil: 2")
    seen: list[bytes] = []

    def record(request: bytes) -> bytes:
        seen.append(request)
        return RSPAMD_REPLY

    with answering(record) as address:
        Rspamd("rspamd", {"socket": address}).inspect(HAM, evil, time.monotonic() + 10)

    assert all(line.startswith((b"X-Envelope-From:", b"Received:", b"\tby ")) for line in trace(evil).splitlines())
    assert b"\nPass" not in seen[0]
    assert b"\nEvil" not in seen[0]
