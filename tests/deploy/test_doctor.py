"""The doctor's own rules: a check that cannot look is an error, the worst finding is the exit status, the page is the table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.deploy.doctor import host, postfix, table
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
