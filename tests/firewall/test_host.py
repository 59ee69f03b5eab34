"""The second layer: a host's own rules pass what the firewall passes to it, and are proved the same way."""

from __future__ import annotations

import json

import pytest

from gatepost.firewall.declare import Policy
from gatepost.firewall.host import HostError, compile_host, host_flows, host_intent
from gatepost.firewall.nft import rehearse
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, prove_meaning
from gatepost.firewall.words import packet_text
from tests.firewall.conftest import policy_from


@pytest.mark.parametrize("name", ["relay", "mailserver"])
def test_the_rules_of_a_host_are_proved(needs_nft: None, widget: Policy, name: str) -> None:
    listing = rehearse(compile_host(widget, name))

    assert prove_meaning(host_intent(widget, name), read_nft(listing)).outcome is Outcome.PROVED


def test_loading_them_again_changes_nothing(needs_nft: None, widget: Policy) -> None:
    text = compile_host(widget, "relay")
    chains = [item for item in json.loads(rehearse(text + text))["nftables"] if "rule" in item]

    assert len(chains) == len([item for item in json.loads(rehearse(text))["nftables"] if "rule" in item])


def test_every_lost_or_added_rule_is_found_with_a_packet(needs_nft: None, widget: Policy) -> None:
    items = json.loads(rehearse(compile_host(widget, "mailserver")))["nftables"]
    for place, item in enumerate(items):
        if "rule" in item:
            left = json.dumps({"nftables": items[:place] + items[place + 1 :]})
            proof = prove_meaning(host_intent(widget, "mailserver"), read_nft(left))
            assert proof.outcome is Outcome.DIFFERENT, item
            assert all(packet_text(difference.packet) for difference in proof.differences)
    holed = rehearse(compile_host(widget, "mailserver") + "add rule inet gatepost input tcp dport 22 accept\n")
    assert prove_meaning(host_intent(widget, "mailserver"), read_nft(holed)).outcome is Outcome.DIFFERENT


def test_a_host_lets_in_what_leads_to_it_and_nothing_else(widget: Policy) -> None:
    assert {item.id for item in host_flows(widget, "mailserver")} == {"mail-to-server"}
    assert {item.id for item in host_flows(widget, "relay")} == {"mail-in", "mail-submit", "firewall-alerts", "ping-out"}


def test_sources_are_those_after_the_firewalls_translation(widget: Policy, widget_text: str) -> None:
    hidden = policy_from(widget_text + '\n[[translate]]\nfrom = "internal"\nto = "services"\naddress = "192.168.2.1"\n')

    plain, translated = (compile_host(policy, "relay") for policy in (widget, hidden))
    [line] = [line for line in plain.splitlines() if "mail-submit" in line and "ip saddr" in line]
    assert line.split("{")[1].split("}")[0].strip() == "192.168.3.0/24"
    assert "192.168.2.1" in next(line for line in translated.splitlines() if "mail-submit" in line and "ip saddr" in line)


def test_what_a_host_cannot_have_is_refused_by_name(widget: Policy) -> None:
    with pytest.raises(HostError, match="no host of this site"):
        compile_host(widget, "nobody")
    with pytest.raises(HostError, match="supplier-ftp"):
        compile_host(widget, "supplier-ftp")
