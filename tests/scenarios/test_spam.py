"""Real SpamAssassin and real rspamd as engines of a running gateway: spam is held, ham arrives."""

from collections.abc import Callable

import pytest

from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, mail, send
from tests.support.rspamd import rspamd
from tests.support.sink import Sink
from tests.support.spamd import spamd

__all__ = ["rspamd", "spamd"]

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@pytest.mark.xdist_group("rspamd")
@pytest.mark.parametrize(("kind", "daemon"), [("spamassassin", "spamd"), ("rspamd", "rspamd")])
def test_spam_is_held_and_ham_is_delivered(
    kind: str, daemon: str, request: pytest.FixtureRequest, gateway: Callable[..., Gateway], sink: Sink
) -> None:
    address = request.getfixturevalue(daemon)
    running = gateway(f'[engines.{kind}]\nsocket = "{address}"\n')

    spam = send(running.smtp, mail("cheap", text=f"Buy now\n\n{GTUBE}\n"), forwarded="203.0.113.7")
    ham = send(running.smtp, CLEAN, forwarded="203.0.113.7")

    assert spam[0] == ham[0] == 250
    assert "kept" in spam[1]
    rows = running.rows(count=2)
    assert (rows[0].state, rows[0].verdict) == ("quarantined", "spam")
    assert len(sink.wait(1)) == 1
