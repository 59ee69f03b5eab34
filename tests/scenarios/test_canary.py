"""Health is a live canary, not a process table: it goes the way of all mail, reaches nobody, and its silence is an alarm."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.journal.store import SqliteJournal
from tests.support.clamd import Clamd
from tests.support.faultclamd import FaultClamd, faultclamd
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, INFECTED, send
from tests.support.ports import free_port, wait_for
from tests.support.postfix import Postfix
from tests.support.sendmail import Sendmail
from tests.support.sink import Sink

__all__ = ["faultclamd"]

CANARY = '\n[canary]\ninterval = "1s"\n'
STRANGER = "203.0.113.7"


def events(gateway: Gateway, kind: str) -> list[dict[str, object]]:
    journal = SqliteJournal(gateway.home / "state/journal.sqlite", writes=False)
    return [dict(event.data) for _number, event in journal.events(kind=kind)]


def test_canaries_pass_the_whole_way_and_reach_nobody(gateway: Callable[..., Gateway], sink: Sink) -> None:
    running = gateway(CANARY)

    wait_for(lambda: len(events(running, "canary.passed")) > 1, "two canaries")

    assert events(running, "canary.failed") == []
    assert sink.delivered == []
    assert running.rows() == []
    assert "canary" in running.command("status")


def doctors_errors(running: Gateway) -> list[str]:
    told = json.loads(running.command("doctor", "--json", status=2))["checks"]
    return [one["check"] for one in told if one["severity"] == "error"]


def test_a_next_hop_that_is_gone_is_told_by_the_canary(gateway: Callable[..., Gateway]) -> None:
    running = gateway(CANARY, next_hop=free_port())

    wait_for(lambda: events(running, "canary.failed"), "the canary")

    assert "the canary is not taken" in str(events(running, "canary.failed")[0]["text"])
    wait_for(running.workers, "the heartbeat")
    assert "the canary is not well" in running.command("status", status=1)
    # Once it has been tried, the alert that finds no next hop is the third.
    wait_for(lambda: doctors_errors(running) == ["gateway", "alerts", "next hop"], "all that is wrong")


def test_an_engine_that_has_gone_blind_is_named(gateway: Callable[..., Gateway]) -> None:
    """Rules of the user's own that find nothing: mail is scanned, yet the canary's virus passes."""
    running = gateway()
    (running.home / "blind.yar").write_text('rule blind { strings: $a = "never to be seen" condition: $a }')
    extra = f'\n[engines.yara]\nown_rules = false\nrules = "{running.home}/blind.yar"\n'
    blind = gateway(extra + CANARY)

    wait_for(lambda: events(blind, "canary.failed"), "the canary")

    assert "a virus was not stopped" in str(events(blind, "canary.failed")[0]["text"])
    assert blind.command("status", status=1)


def test_prometheus_reads_what_happened(gateway: Callable[..., Gateway]) -> None:
    port = free_port()
    running = gateway(f'{CANARY}\n[metrics]\nlisten = "127.0.0.1:{port}"\n')
    send(running.smtp, CLEAN, forwarded=STRANGER)
    send(running.smtp, next(iter(INFECTED.values())), forwarded=STRANGER)
    wait_for(lambda: events(running, "canary.passed"), "the canary")
    wait_for(lambda: running.workers() == 2, "the heartbeat of two workers")

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        figures = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))

    assert float(figures['gatepost_mails_total{direction="inbound",disposition="deliver"}']) == 1
    assert float(figures['gatepost_mails_total{direction="inbound",disposition="reject"}']) == 1
    assert float(figures['gatepost_findings_total{kind="virus",source="yara"}']) >= 1
    assert float(figures['gatepost_engine_answers_total{engine="yara",state="clean"}']) >= 1
    assert float(figures["gatepost_scan_seconds_count"]) == float(figures['gatepost_scan_seconds_bucket{le="+Inf"}']) == 2
    assert float(figures["gatepost_canary_well"]) == 1
    assert float(figures["gatepost_workers"]) == 2
    assert float(figures["gatepost_journal_bytes"]) > 0
    assert float(figures["gatepost_quarantine_mails"]) == 1


@pytest.mark.parametrize("parameter", ["smtpd_milters", "smtpd_milter"])
def test_an_mta_that_never_calls_the_milter_is_found_out(parameter: str, gateway: Callable[..., Gateway], home: Path, sink: Sink) -> None:
    """A misspelt parameter is legal to Postfix, which then passes all mail in silence; the canary through it does not."""
    port = free_port()
    running = gateway(f'{CANARY}through = "127.0.0.1:{port}"\n')
    mta = Postfix(home / "postfix", sink.port, extra=f"{parameter} = {running.milter}", port=port).start()
    kind, text = ("canary.passed", "stopped") if parameter == "smtpd_milters" else ("canary.failed", "a virus was not stopped: 250")
    try:
        wait_for(lambda: any(text in str(one["text"]) for one in events(running, kind)), text, 60)
    finally:
        mta.stop()

    assert parameter == "smtpd_milter" or sink.delivered == []


@pytest.mark.parametrize("asked", ["INPUT_MAIL_FILTER", "MAIL_FILTER"])
def test_a_sendmail_that_never_calls_the_milter_is_found_out(asked: str, gateway: Callable[..., Gateway], home: Path, sink: Sink) -> None:
    """MAIL_FILTER declares a milter and calls it for no mail; m4 and Sendmail say nothing of it."""
    port = free_port()
    running = gateway(f'{CANARY}through = "127.0.0.1:{port}"\n')
    milter = f"{asked}(`gatepost', `S={running.milter}, F=T, T=C:10s;S:30s;R:30s;E:2m')dnl"
    mta = Sendmail(home / "sendmail", sink.port, milters=milter, port=port).start()
    kind, text = ("canary.passed", "stopped") if asked == "INPUT_MAIL_FILTER" else ("canary.failed", "a virus was not stopped: 250")
    try:
        wait_for(lambda: any(text in str(one["text"]) for one in events(running, kind)), text, 60)
    finally:
        mta.stop()

    assert asked == "MAIL_FILTER" or sink.delivered == []


@pytest.mark.parametrize("honest", [True, False])
def test_an_engine_that_says_clean_to_everything_is_named_although_others_stop_the_virus(
    honest: bool, gateway: Callable[..., Gateway], faultclamd: FaultClamd, clamd: Clamd
) -> None:
    """The honest engine is the control: the same site, and no alarm."""
    faultclamd.mode = "lie"
    running = gateway(f'[engines.clamav]\nsocket = "{clamd.address if honest else faultclamd.address}"\n{CANARY}')
    kind = "canary.passed" if honest else "canary.failed"

    wait_for(lambda: events(running, kind), "the canary", 60)

    if honest:
        assert events(running, "canary.failed") == []
    else:
        assert "the test virus was not found by clamav" in str(events(running, kind)[0]["text"])
        assert "the test virus was not found by clamav" in running.log()
        assert running.command("status", status=1)
