"""The next hop as the site declares it."""

from __future__ import annotations

from gatepost.mail.act.connection import Timeouts, Tls
from gatepost.services.outbox import hop
from gatepost.site.load import loads
from gatepost.site.mail import HopTimeouts

SITE = """
[site]
name = "W"
[zones.internal]
prefixes = ["192.168.3.0/24"]
[hosts.mailserver]
zone = "internal"
addresses = ["192.168.3.45"]
[mail]
domains = ["widget.example"]
next_hop = "mailserver:2525"
[mail.smtp]
lmtp = true
"""


def test_a_host_of_the_site_is_reached_by_its_address_without_dns() -> None:
    made = hop(loads(SITE), "mailserver:2525")

    assert (made.host, made.port, made.lmtp, made.tls) == ("192.168.3.45", 2525, True, Tls.MAY)


def test_time_limits_of_the_site_file_are_kept_and_the_others_are_those_of_the_rfc() -> None:
    made = hop(loads(SITE + '[mail.smtp.timeouts]\nfinal = "2m"\nconnect = "5s"\n'), "mailserver:2525")

    assert made.timeouts == Timeouts(connect=5.0, final=120.0)


def test_the_site_and_the_client_have_the_same_defaults() -> None:
    assert Timeouts(**HopTimeouts().model_dump()) == Timeouts()
