"""Directions, and who may send where: the twenty classic relay probes are refused from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.decide.direction import NO_SUCH_USER, RELAY_DENIED, Perimeter, domain_of
from gatepost.mail.model import Direction, Envelope
from gatepost.site.load import loads

PERIMETER = Perimeter.of(
    loads("""
[site]
name = "Company Widget"
[mail]
domains = ["widget.example", "bücher.example"]
next_hop = "192.168.3.45:25"
relay_from = ["lan"]
[zones.net]
external = true
[zones.lan]
prefixes = ["192.168.3.0/24", "2001:db8:3::/64"]
[zones.dmz]
prefixes = ["192.168.2.0/24"]
""")
)
OUTSIDE = Envelope("", (), client="203.0.113.5")
INSIDE = Envelope("", (), client="192.168.3.7")


@pytest.mark.parametrize(
    ("client", "zone"),
    [
        ("192.168.3.7", "lan"),
        ("::ffff:192.168.3.7", "lan"),
        ("IPv6:2001:db8:3::9", "lan"),
        ("192.168.2.3", "dmz"),
        ("203.0.113.5", "net"),
        ("127.0.0.1", "localhost"),
        ("::1", "localhost"),
        ("", ""),
        ("unknown", ""),
        ("192.168.3.7.example", ""),
    ],
)
def test_a_host_is_in_the_zone_of_its_address(client, zone) -> None:
    assert PERIMETER.zone(client) == zone


@pytest.mark.parametrize(
    ("client", "user", "recipient", "direction"),
    [
        ("203.0.113.5", "", "joe@widget.example", Direction.INBOUND),
        ("203.0.113.5", "", "joe@else.example", Direction.INBOUND),
        ("203.0.113.5", "joe", "ann@else.example", Direction.OUTBOUND),
        ("192.168.3.7", "", "ann@else.example", Direction.OUTBOUND),
        ("192.168.3.7", "", "joe@WIDGET.example", Direction.INTERNAL),
        ("192.168.2.3", "", "ann@else.example", Direction.INBOUND),
        ("127.0.0.1", "", "ann@else.example", Direction.OUTBOUND),
        ("", "", "joe@widget.example", Direction.INBOUND),
        ("192.168.3.7", "", "joe@xn--bcher-kva.example", Direction.INTERNAL),
    ],
)
def test_the_direction_comes_from_host_user_and_recipient(client, user, recipient, direction) -> None:
    assert PERIMETER.direction(Envelope("", (), client=client, user=user), recipient) is direction


PROBES = [
    "nobody@else.example",
    "nobody%else.example@widget.example",
    "nobody%else.example@[192.168.2.3]",
    '"nobody@else.example"@widget.example',
    '"nobody%else.example"',
    "@widget.example:nobody@else.example",
    "@[192.168.2.3]:nobody@else.example",
    "else.example!nobody@widget.example",
    "else.example!nobody@[192.168.2.3]",
    "else.example!nobody",
    "nobody@else.example@widget.example",
    '"nobody@else.example"',
    "nobody@else.example@",
    "nobody@else.example.",
    "nobody@widget.example.else.example",
    "nobody@notwidget.example",
    "nobody@[203.0.113.9]",
    "nobody@localhost",
    "nobody",
    "nobody@ widget.example@else.example",
]


@pytest.mark.parametrize("recipient", PROBES)
def test_a_relay_probe_from_outside_is_refused(recipient) -> None:
    reply = PERIMETER.refusal(OUTSIDE, recipient)
    assert reply is not None
    assert reply.code // 100 == 5


def test_insiders_may_send_anywhere_and_strangers_only_to_us() -> None:
    assert PERIMETER.refusal(INSIDE, "ann@else.example") is None
    assert PERIMETER.refusal(OUTSIDE, "joe@widget.example") is None
    assert PERIMETER.refusal(OUTSIDE, "ann@else.example") == RELAY_DENIED
    assert PERIMETER.refusal(Envelope("", (), client="192.168.2.3"), "ann@else.example") == RELAY_DENIED
    assert PERIMETER.refusal(OUTSIDE, "Postmaster") is None


def test_unknown_recipients_are_refused_where_a_list_is_kept() -> None:
    known = frozenset({"joe@widget.example", "sales"})
    for recipient in ("Joe@widget.example", "joe+news@widget.example", "sales@widget.example", "postmaster@widget.example"):
        assert PERIMETER.refusal(OUTSIDE, recipient, known) is None
    assert PERIMETER.refusal(OUTSIDE, "jo@widget.example", known) == NO_SUCH_USER
    assert PERIMETER.refusal(INSIDE, "jo@widget.example", known) == NO_SUCH_USER
    assert PERIMETER.refusal(INSIDE, "ann@else.example", known) is None


@given(st.text(), st.text())
def test_no_address_makes_it_fail_and_no_stranger_relays(client, recipient) -> None:
    envelope = Envelope("", (), client=client)
    if not PERIMETER.is_inside(envelope) and PERIMETER.refusal(envelope, recipient) is None:
        assert domain_of(recipient) in PERIMETER.domains or recipient.lower() == "postmaster"
