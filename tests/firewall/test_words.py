"""What people read: answers, the written policy, the drawing, the command line."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatepost.cli.firewall import app
from gatepost.firewall.ask import QuestionError, answer_text, ask
from gatepost.firewall.declare import Policy
from gatepost.firewall.document import drawing, policy_rows, policy_text
from gatepost.firewall.nft_reader import read_nft

SITE = str(Path(__file__).resolve().parents[2] / "examples" / "widget" / "site.toml")


@pytest.mark.parametrize(
    ("source", "target", "service", "verdict", "flow"),
    [
        ("internet", "mailserver", "tcp/445", "no", None),
        ("internet", "203.0.113.25", "smtp", "yes", "mail-in"),
        ("internet", "relay", "smtp", "partly", "mail-in"),
        ("internal", "internet", "https", "yes", "web"),
        ("internal", "internet", "smtp", "no", None),
        ("internal", "internet", "tcp/31337", "no", None),
        ("adminpc", "firewall", "ssh", "yes", "admin-ssh"),
        ("internet", "firewall", "ssh", "no", None),
        ("firewall", "isp-dns", "ntp", "yes", "firewall-own"),
        ("relay", "mailserver", "smtp", "yes", "mail-to-server"),
        ("relay", "mailserver", "ssh", "no", None),
    ],
)
def test_a_question_is_answered_with_the_flow(
    widget: Policy, widget_listing: str, source: str, target: str, service: str, verdict: str, flow: str | None
) -> None:
    answer = ask(widget, read_nft(widget_listing), source, target, service)

    assert answer.verdict == verdict
    assert (answer.flow.id if answer.flow else None) == flow
    assert answer_text(answer).startswith(verdict.upper())


def test_a_host_that_has_another_address_outside_is_told_with_it(widget: Policy, widget_listing: str) -> None:
    answer = ask(widget, read_nft(widget_listing), "internet", "relay", "smtp")

    assert answer.offered == ("203.0.113.25",)
    assert "another address, 203.0.113.25" in answer_text(answer)
    assert ask(widget, read_nft(widget_listing), "internet", "relay", "ssh").offered == ()


def test_a_word_that_means_nothing_gets_the_nearest_one(widget: Policy, widget_listing: str) -> None:
    with pytest.raises(QuestionError, match="did you mean internal"):
        ask(widget, read_nft(widget_listing), "internl", "relay", "smtp")


def test_the_written_policy_names_every_flow_with_reason_and_owner(widget: Policy) -> None:
    text = policy_text(widget)

    for item in widget.allowed:
        assert item.reason in text
        assert item.id in text
    assert "From internet, nothing can begin a connection to internal or the firewall itself." in text
    assert len(policy_rows(widget)) == len(widget.allowed)


def test_the_drawing_is_well_formed_and_shows_every_zone(widget: Policy) -> None:
    root = ET.fromstring(drawing(widget))
    words = " ".join(node.text or "" for node in root.iter() if node.text)

    assert all(name in words for name in widget.zones)


@pytest.mark.parametrize(
    "arguments", [["compile"], ["prove"], ["policy"], ["ask", "internal", "internet", "https"], ["compile", "--format", "sysctl"]]
)
def test_the_commands_answer(needs_nft: None, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, [*arguments, "--site", SITE])

    assert result.exit_code == 0, result.output


def test_a_proof_that_fails_says_so_by_its_status(needs_nft: None, widget_listing: str, tmp_path: Path) -> None:
    changed = tmp_path / "listing.json"
    changed.write_text(widget_listing.replace('"policy": "drop"', '"policy": "accept"'))

    result = CliRunner().invoke(app, ["prove", "--site", SITE, "--listing", str(changed)])

    assert result.exit_code == 1
    assert "NOT PROVED" in result.output
