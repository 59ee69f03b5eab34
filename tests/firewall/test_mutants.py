"""A changed rule set is found, or it does the same as before: shown for one change at a time."""

from __future__ import annotations

import pytest

from gatepost.firewall.declare import Policy
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, prove
from gatepost.firewall.ruleset import follow
from tests.support.rulemutants import mutants


def test_every_difference_names_a_packet_that_the_single_packet_checker_judges_alike(widget: Policy, widget_listing: str) -> None:
    found = 0
    for what, text in mutants(widget_listing, seed=1, count=30):
        ruleset = read_nft(text)
        proof = prove(widget, ruleset)
        found += proof.outcome is not Outcome.PROVED
        for difference in proof.differences:
            if "pass" in difference.what:
                decision = follow(ruleset, difference.path, difference.packet)
                assert decision.accepted is not difference.wanted, what

    assert found > 15


def test_a_rule_that_lets_one_more_port_in_is_found_with_that_packet(widget: Policy, widget_listing: str) -> None:
    changed = widget_listing.replace('"policy": "drop"', '"policy": "accept"')

    proof = prove(widget, read_nft(changed))

    assert proof.outcome is Outcome.DIFFERENT


@pytest.mark.parametrize("kind", ["flowtable", "bridge"])
def test_what_passes_around_the_rules_is_refused_by_name(widget: Policy, widget_listing: str, kind: str) -> None:
    extra = {
        "flowtable": '{"flowtable": {"family": "inet", "table": "gatepost", "name": "fast"}}, ',
        "bridge": '{"table": {"family": "bridge", "name": "b"}}, ',
    }
    changed = widget_listing.replace('{"nftables": [', '{"nftables": [' + extra[kind], 1)

    proof = prove(widget, read_nft(changed))

    assert proof.outcome is Outcome.REFUSED
    assert proof.refusals
