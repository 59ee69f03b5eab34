"""The proof on the demo company: proved as compiled, and each planted mistake found with a packet."""

from __future__ import annotations

import json

import pytest

from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy
from gatepost.firewall.nft import objects, rehearse
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, prove
from gatepost.firewall.words import packet_text
from tests.firewall.conftest import policy_from


def test_the_compiled_rules_of_the_demo_company_are_proved(widget: Policy, widget_listing: str) -> None:
    proof = prove(widget, read_nft(widget_listing))

    assert proof.outcome is Outcome.PROVED
    assert all(promise.packet is None for promise in proof.promises)
    assert len(proof.promises) >= 9


def test_a_second_load_of_the_same_rules_changes_nothing(needs_nft: None, widget: Policy, widget_listing: str) -> None:
    compiled = compile_policy(widget)
    twice = reload_text(compiled, ()) + reload_text(compiled, objects(widget_listing, "gatepost"))

    assert prove(widget, read_nft(rehearse(twice))).outcome is Outcome.PROVED


def test_a_reload_removes_what_the_old_policy_had(needs_nft: None, widget: Policy, widget_text: str) -> None:
    bigger = policy_from(widget_text + EXTRA)
    old, new = compile_policy(bigger), compile_policy(widget)
    held = rehearse(reload_text(old, ()))

    listing = rehearse(reload_text(old, ()) + reload_text(new, objects(held, "gatepost")))

    assert prove(widget, read_nft(listing)).outcome is Outcome.PROVED
    assert "flow_time_clock" not in listing
    assert "flow_time_clock" in held


EXTRA = """
[[flows]]
id = "time-clock"
from = "internet"
to = "relay"
services = "ntp"
rate = "5/second"
connections = 3
log = "clock"
reason = "The time clock of the gate is outside."
owner = "administrator"
"""


def test_limits_and_logs_are_part_of_what_is_proved(needs_nft: None, widget_text: str) -> None:
    policy = policy_from(widget_text + EXTRA)
    listing = rehearse(reload_text(compile_policy(policy), ()))

    assert prove(policy, read_nft(listing)).outcome is Outcome.PROVED
    weaker = listing.replace('"rate": 5, "burst": 10', '"rate": 50, "burst": 10')
    assert weaker != listing
    proof = prove(policy, read_nft(weaker))
    assert proof.outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("chain", "comment", "what"),
    [
        ("entry", "impossible TCP flags", "passes"),
        ("entry", "our own address", "passes"),
        ("entry", "no way back to the source", "passes"),
        ("translate", "", "should leave"),
        ("publish", "mail-in", "does not pass"),
        ("related", "errors of known connections", "does not pass"),
    ],
)
def test_a_lost_rule_is_found_with_a_packet(widget: Policy, widget_listing: str, chain: str, comment: str, what: str) -> None:
    items = json.loads(widget_listing)["nftables"]
    place = next(
        i
        for i, item in enumerate(items)
        if "rule" in item and item["rule"]["chain"] == chain and item["rule"].get("comment", "") == comment
    )
    del items[place]

    proof = prove(widget, read_nft(json.dumps({"nftables": items})))

    assert proof.outcome is Outcome.DIFFERENT
    assert any(what in difference.what for difference in proof.differences)
    assert all(packet_text(difference.packet) for difference in proof.differences)


def test_a_second_table_that_drops_is_seen_as_well_as_one_that_accepts_is_harmless(needs_nft: None, widget: Policy) -> None:
    base = reload_text(compile_policy(widget), ())
    for policy, outcome in (("accept", Outcome.PROVED), ("drop", Outcome.DIFFERENT)):
        other = f"table inet other {{\n chain c {{ type filter hook forward priority 5; policy {policy}; }}\n}}\n"
        assert prove(widget, read_nft(rehearse(base + other))).outcome is outcome
