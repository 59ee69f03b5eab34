"""What a scan from outside means, and what the canary leaves and takes away."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from gatepost.firewall import canary, labworker, vantage
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy
from gatepost.firewall.nft import rehearse
from gatepost.firewall.outside import Report, Try, at_once, report_data, report_text, targets, tries
from tests.firewall.conftest import policy_from

BIRD = Try("203.0.113.1", "tcp", canary.PORT, wanted=True, seen="open", said=canary.NAME)
MAIL = Try("203.0.113.25", "tcp", 25, wanted=True, seen="open")
SHUT = Try("203.0.113.25", "tcp", 22, wanted=False)


def report(*found: Try, **more: Any) -> Report:
    return dataclasses.replace(Report("internet", ("198.51.100.7",), found, (BIRD, BIRD), uptime=False), **more)


def test_all_as_declared_is_status_0() -> None:
    assert report(MAIL, SHUT).status == 0


@pytest.mark.parametrize(
    "one",
    [
        dataclasses.replace(SHUT, seen="open"),
        dataclasses.replace(SHUT, seen="closed"),
        dataclasses.replace(MAIL, seen="silent"),
        dataclasses.replace(MAIL, seen="refused"),
    ],
)
def test_a_deviation_is_status_1_even_when_the_scan_was_partly_blind(one: Try) -> None:
    assert report(one).status == 1
    assert report(one, unreachable=("2001:db8::1",)).status == 1


def test_where_somebody_else_answers_for_the_canary_the_firewall_was_not_reached() -> None:
    impostor = dataclasses.replace(BIRD, said="")

    assert report(dataclasses.replace(SHUT, seen="open"), canaries=(impostor,)).status == 2


def test_a_refusal_by_the_network_is_as_good_as_silence() -> None:
    assert report(MAIL, dataclasses.replace(SHUT, seen="refused")).status == 0


@pytest.mark.parametrize(
    "more",
    [
        {"canaries": ()},
        {"canaries": (BIRD, dataclasses.replace(BIRD, seen="silent", said=""))},
        {"unreachable": ("2001:db8::1",)},
        {"packets": 3},
        {"tries": ()},
    ],
)
def test_a_scan_that_could_have_missed_something_is_status_2(more: dict[str, Any]) -> None:
    blind = report(MAIL, SHUT, **more)

    assert blind.status == 2
    assert "As declared" not in report_text(blind)


def test_a_declared_udp_service_that_says_nothing_is_not_known_and_named() -> None:
    silent = Try("203.0.113.25", "udp", 53, wanted=True)

    assert report(silent).status == 0
    assert "Not known" in report_text(report(silent))
    assert report_data(report(silent))["unknown"] == ["203.0.113.25 udp/53 dns"]


def test_versions_clocks_and_uptime_are_told() -> None:
    told = report_text(report(dataclasses.replace(MAIL, said="220 mx ESMTP Postfix 3.7.11\r\n"), uptime=True))

    assert "'220 mx ESMTP Postfix 3.7.11'" in told
    assert "how long it is up" in told
    assert report(MAIL, clocks=("203.0.113.1",)).status == 1


def test_declared_connections_are_tried_first_so_that_a_shut_out_scanner_has_asked_them(widget: Policy) -> None:
    planned = tries(widget, dict.fromkeys(targets(widget, "internet"), "198.51.100.7"))
    wanted = [one.wanted for one in planned if ":" not in one.target]

    assert any(wanted)
    assert wanted == sorted(wanted, reverse=True)


def test_a_scan_stays_below_the_limit_for_new_connections(widget_text: str, widget: Policy) -> None:
    slow = policy_from(widget_text.replace("[firewall.icmp]", '[firewall.limits]\nnew = "8/second"\n\n[firewall.icmp]'))

    assert at_once(widget) == 100
    assert at_once(slow) == 4


def test_the_canary_opens_for_the_scanner_alone_and_takes_everything_away(needs_nft: None, widget: Policy) -> None:
    rules = reload_text(compile_policy(widget), ())
    before = rehearse(rules)
    held = rehearse(rules + canary.opening(["198.51.100.7", "2001:db8:66::7"], 60))
    sets = {item["set"]["name"]: item["set"] for item in json.loads(held)["nftables"] if "set" in item}

    assert sets["canary4"]["elem"][0]["elem"]["val"] == "198.51.100.7"
    assert sets["canary6"]["elem"][0]["elem"]["timeout"] == 60
    assert canary.counted(held) == 0
    assert canary.closing(held).count("delete rule") == 4
    assert canary.closing(held).count("delete set") == 2
    assert canary.closing(before).strip() == ""


@pytest.fixture
def server() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        taken, _ = made.accept()
        taken.sendall(b"220 hello 1.2\r\n")
        taken.close()

    threading.Thread(target=greet, daemon=True).start()
    return made


def test_the_prober_tells_open_from_closed_and_hears_the_banner(server: socket.socket) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        rows = [[0, "", "127.0.0.1", "tcp", server.getsockname()[1]], [1, "", "127.0.0.1", "tcp", other.getsockname()[1]]]
        seen = vantage.ask(vantage.here(), {"do": "probe", "batches": [rows], "seconds": 1})
    server.close()

    assert seen == {"0": ["open", "220 hello 1.2\r\n"], "1": ["closed", ""]}


def test_the_text_of_the_prober_alone_runs_on_a_host_that_has_only_python() -> None:
    with open(labworker.__file__, encoding="utf-8") as file:
        command = [sys.executable, "-I", "-S", "-c", file.read()]
    asked = json.dumps({"do": "sources", "targets": ["127.0.0.1"]}) + "\n"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == {"127.0.0.1": "127.0.0.1"}


def test_what_ssh_is_given_survives_the_shell_of_the_other_side() -> None:
    *_, host, words = vantage.far("probe.example.net")

    assert host == "probe.example.net"
    assert vantage.ask(["sh", "-c", words], {"do": "sources", "targets": ["127.0.0.1"]}) == {"127.0.0.1": "127.0.0.1"}
