"""Imported rules become a site file, and what differs is told."""

from __future__ import annotations

from gatepost.firewall.compare import changes_text, compare
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.nft import rehearse
from gatepost.firewall.nft_reader import ReadError, read_nft
from gatepost.firewall.propose import WHOLE, proposal_text, propose
from gatepost.firewall.reading import kind_of, read_ruleset
from tests.firewall.conftest import policy_from

SAVED = """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.9/32 -i wan -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.1.0.5
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -d 10.1.0.5/32 -i wan -o lan -p tcp -m tcp --dport 25 -j ACCEPT
-A FORWARD -s 10.1.0.0/24 -i lan -o wan -p tcp -m tcp --dport 8000:8010 -j ACCEPT
COMMIT
"""


def test_what_passes_becomes_flows_and_the_rest_is_told(needs_nft: None) -> None:
    ruleset = read_ruleset(SAVED)
    text = proposal_text(propose(ruleset))
    policy = policy_from(WHOLE + text)

    by_service = {(item.source.name, item.destination.name): item.traffic[0] for item in policy.allowed}
    assert by_service[("zone-lan", "internet")].low == 8000
    assert any(item.public for item in policy.allowed)
    told = changes_text(compare(ruleset, read_nft(rehearse(reload_text(compile_policy(policy), ()))), policy))
    assert "from zone-lan (lan) to internet (wan)" not in told.split("No longer")[0]


def test_the_same_rules_do_not_differ() -> None:
    assert changes_text(compare(read_ruleset(SAVED), read_ruleset(SAVED))).startswith("No difference")


def test_a_wider_port_is_told_as_a_sentence() -> None:
    wider = read_ruleset(SAVED.replace("8000:8010", "8000:8011"))

    text = changes_text(compare(read_ruleset(SAVED), wider))

    assert "Now passes, through the firewall (IPv4):\n  from lan to wan: tcp/8011 from 10.1.0.0/24" in text
    assert "No longer" not in text


def test_forms_are_told_apart() -> None:
    assert kind_of(SAVED) == "iptables-save"
    assert kind_of("iptables -A INPUT -j DROP\n") == "script"
    assert kind_of('{"nftables": []}') == "nft-json"
    assert kind_of("table ip x {\n chain y {\n }\n}\n") == "nft"


def test_a_listing_that_is_cut_or_odd_is_an_error_and_never_empty() -> None:
    for text in ("", "{", '{"nftables": 3}', '{"nftables": [{"rule": {}}]}', '{"nftables": [{"chain": {"family": "inet"}}]}'):
        try:
            read_nft(text)
        except ReadError:
            continue
        raise AssertionError(text)
