"""From a log line back to the policy, and the watch over what is loaded."""

from __future__ import annotations

import json

import pytest

from gatepost.firewall.declare import Policy
from gatepost.firewall.drift import fingerprint, look
from gatepost.firewall.harden import is_switch, otherwise, wanted
from gatepost.firewall.logged import LogError, read_line
from gatepost.firewall.why import why
from tests.firewall.conftest import TODAY, policy_from

LINE = (
    "Nov 23 10:00:00 fw kernel: gatepost:refused:internal IN=eth2 OUT=eth0 MAC=02:00 SRC=192.168.3.10 DST=198.51.100.66 LEN=60 "
    "TTL=63 PROTO=TCP SPT=40000 DPT=6667 WINDOW=64240 SYN URGP=0"
)


def test_a_refused_packet_is_explained_with_what_would_allow_it(widget: Policy, widget_text: str) -> None:
    text = why(widget, read_line(LINE), TODAY)

    assert text.startswith("adminpc (internal) tried tcp/6667 at 198.51.100.66 (internet).")
    flow = text.split("apply:")[1].replace("say why", "for the test").replace("say who", "me too")
    allowed = policy_from(widget_text + flow)
    assert any(item.id == "allow-tcp-6667" for item in allowed.allowed)


def test_a_logged_flow_is_named_by_its_prefix(widget: Policy) -> None:
    line = LINE.replace("refused:internal ", "ftp access ").replace("6667", "21")

    assert read_line(line).event == "access"
    assert '"supplier-ftp"' in why(widget, read_line(line), TODAY)


def test_a_foreign_line_is_refused() -> None:
    with pytest.raises(LogError):
        read_line("kernel: eth0: link up")


def test_counters_and_filling_sets_are_no_drift_but_a_rule_is(widget: Policy, widget_listing: str) -> None:
    counted = widget_listing.replace('"packets": 0', '"packets": 7')
    assert fingerprint(counted) == fingerprint(widget_listing)
    first = look(widget, widget_listing)
    assert not first.drifted
    assert look(widget, counted, first.fingerprint).proof is None

    items = json.loads(widget_listing)["nftables"]
    chain = next(item["chain"] for item in items if item.get("chain", {}).get("name") == "forward")
    opened = {"rule": {"family": "inet", "table": "gatepost", "chain": chain["name"], "handle": 999, "expr": [{"accept": None}]}}
    assert look(widget, json.dumps({"nftables": [*items, opened]}), first.fingerprint).drifted


def test_switches_are_wanted_for_new_interfaces_too_and_misspelt_ones_are_none() -> None:
    names = {name for name, _ in wanted(["eth0"])}
    assert {"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter", "net.ipv4.conf.eth0.rp_filter"} <= names
    assert not is_switch("net.ipv4.icmp_echo_ignore_broadcast")
    assert is_switch("net.ipv4.icmp_echo_ignore_broadcasts")
    assert [name for name, _, _ in otherwise(dict.fromkeys(names, "0"), ["eth0"]) if name.endswith("eth0.accept_redirects")] == []
    assert any(name == "net.ipv4.tcp_syncookies" for name, _, _ in otherwise(dict.fromkeys(names, "0"), ["eth0"]))
