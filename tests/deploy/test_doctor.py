"""The doctor's own rules: a check that cannot look is an error, the worst finding is the exit status, the page is the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.deploy.doctor import host, licence, network, postfix, table
from gatepost.deploy.doctor.check import Check, Machine, Running, Seen, Severity, error, examine, status, warning, well
from gatepost.site.model import Site

ROOT = Path(__file__).resolve().parents[2]
SITE = Site.model_validate(
    {
        "site": {"name": "x"},
        "mail": {
            "domains": ["widget.example"],
            "next_hop": "mail.widget.example:25",
            "milter": {"listen": "unix:/run/gatepost/milter.sock"},
        },
    }
)


def diagnose(look, machine: Machine | None = None):
    return list(examine([Check("one", "about", look)], SITE, machine or Machine()))


def test_a_check_that_cannot_look_is_an_error_and_the_others_go_on() -> None:
    def broken(_site: Site, _machine: Machine) -> Iterator[Seen]:
        yield well("so far")
        raise PermissionError(13, "Permission denied", "/root/secret")

    (found,) = diagnose(broken)

    assert found.severity is Severity.ERROR
    assert "/root/secret: Permission denied" in found.seen


@pytest.mark.parametrize(
    ("seen", "expected"), [([], 0), ([well("a")], 0), ([well("a"), warning("b", "c")], 1), ([error("a", "b"), warning("c", "d")], 2)]
)
def test_the_worst_finding_is_the_exit_status(seen: list[Seen], expected: int) -> None:
    assert status(diagnose(lambda _site, _machine: seen)) == expected


def test_what_is_not_well_has_a_remedy_and_what_is_well_has_none() -> None:
    machine = Machine(jail=lambda: ("Landlock: this kernel has no Landlock",), limits={"descriptors": 10}, now=lambda: 0.0)
    found = list(examine(table.CHECKS, SITE, machine))

    assert {bool(one.remedy) for one in found if one.severity is Severity.WELL} == {False}
    assert all(one.remedy for one in found if one.severity is not Severity.WELL)
    told = {one.check for one in found if one.severity is not Severity.WELL}
    assert {"gateway", "folders", "jail", "descriptors", "clock"} <= told


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        (None, Severity.ERROR),
        (Running(well=False, sentence="the front is dead", keeper=1), Severity.ERROR),
        (Running(well=True, sentence="fine", keeper=1), Severity.WELL),
    ],
)
def test_a_gateway_that_does_not_answer_or_is_not_well_is_an_error(running: Running | None, expected: Severity) -> None:
    (found,) = diagnose(host.gateway, Machine(gateway=running))

    assert found.severity is expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"smtpd_milter": "unix:/run/gatepost/milter.sock"},
        {"smtp_milters": "inet:localhost:11332, local:/run/gatepost/milter.sock"},
        {"smtpd_milters": "{ unix:/run/gatepost/milter.sock, default_action=tempfail }", "milter_default_action": "accept"},
    ],
)
def test_every_way_past_the_milter_is_named(parameters: dict[str, str]) -> None:
    (found,) = diagnose(postfix.milter_called, Machine(postfix=parameters))

    assert found.severity is Severity.ERROR


def test_a_postfix_that_has_nothing_to_do_with_us_is_left_alone() -> None:
    assert (
        diagnose(postfix.milter_called, Machine(postfix={"smtpd_milters": "inet:localhost:11332", "milter_default_action": "accept"})) == []
    )


def test_the_page_of_the_manual_has_every_check() -> None:
    rows = [f"| {check.name} | {check.about} |" for check in table.CHECKS]

    assert [row for row in rows if row not in (ROOT / "docs/doctor.md").read_text()] == []


def test_a_site_that_takes_mail_by_milter_only_is_told_that_nobody_would_notice_a_milter_never_called(tmp_path: Path) -> None:
    milter = {"milter": {"listen": "unix:/run/m.sock"}, "smtp": {"listen": ""}}
    (seen,) = host.canary(made(mail=milter), Machine())
    assert (seen.severity, "never called" in seen.text, "through" in seen.remedy) == (Severity.WARNING, True, True)
    (seen,) = host.canary(made(mail=milter, canary={"through": "127.0.0.1:25"}), Machine())
    assert seen.severity is Severity.WELL


def test_a_dead_name_server_is_named_only_where_an_engine_needs_it(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1 port:1\n")
    machine = Machine(resolv=resolv)
    (seen,) = network.name_servers(made(engines={"authentication": {}}), machine)
    assert (seen.severity, "engine authentication needs one" in seen.text) == (Severity.ERROR, True)
    assert not list(network.name_servers(made(), machine))


@pytest.mark.parametrize(
    ("now", "kept", "severity"), [(0.0, True, Severity.ERROR), (2e9, False, Severity.WARNING), (2e9, True, Severity.WELL)]
)
def test_a_clock_before_this_program_or_without_a_time_server_is_named(now: float, kept: bool, severity: Severity) -> None:
    (seen,) = host.clock(made(), Machine(now=lambda: now, synchronised=lambda: kept))
    assert seen.severity is severity


@pytest.mark.parametrize(
    ("days", "said", "severity"),
    [(31, "runs until", "well"), (30, "within 30", "warning"), (7, "within 7", "warning"), (-1, "is over", "error")],
)
def test_a_licence_is_told_of_before_it_ends(days: int, said: str, severity: str) -> None:
    today = dt.date(2026, 6, 1)
    at = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC).timestamp()
    site = made(engines={"yara": {"licence_until": today + dt.timedelta(days)}})
    (seen,) = licence.licences(site, Machine(now=lambda: at))
    assert (seen.severity, said in seen.text) == (severity, True)


def made(**changes: dict[str, object]) -> Site:
    """A site with a few changes."""
    values: dict[str, dict[str, object]] = {"site": {"name": "x"}, "mail": {"domains": ["widget.example"], "next_hop": "192.0.2.1:25"}}
    return Site.model_validate(values | {key: values.get(key, {}) | change for key, change in changes.items()})
