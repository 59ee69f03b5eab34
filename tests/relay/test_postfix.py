"""Complete Postfix configurations from the site: compared with golden files, and loaded by Postfix."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gatepost.relay.intent import RelayError, intent
from gatepost.relay.null_client import null_client
from gatepost.relay.postfix import postfix
from gatepost.site.load import loads
from gatepost.system.artifact import Artifact
from tests.relay.sites import FULL, demo

GOLDEN = Path(__file__).parent / "golden"

CASES = {
    "postfix-demo": lambda folder: postfix(intent(demo()), folder),
    "postfix-full": lambda folder: postfix(intent(demo(FULL)), folder),
    "null-client": lambda folder: null_client(demo(), "firewall", folder),
}


def settings(artifacts: tuple[Artifact, ...]) -> dict[str, str]:
    (main,) = (one.content.decode() for one in artifacts if one.path.name == "main.cf")
    return dict(re.findall(r"^(\w+) = ?(.*)$", main, re.MULTILINE))


@pytest.mark.parametrize("case", CASES)
def test_a_site_compiles_to_the_golden_files(case: str) -> None:
    made = {one.path.name: one.content.decode() for one in CASES[case](Path("/etc/postfix"))}
    if os.environ.get("GATEPOST_WRITE_GOLDEN"):
        for name, text in made.items():
            (GOLDEN / f"{case}.{name}").write_text(text)

    assert made == {path.name.removeprefix(f"{case}."): path.read_text() for path in GOLDEN.glob(f"{case}.*")}


@pytest.mark.parametrize("case", CASES)
def test_postfix_reads_every_file_and_warns_of_nothing(case: str, tmp_path: Path) -> None:
    if not shutil.which("postconf"):
        pytest.skip("needs Debian's package postfix")
    for one in CASES[case](tmp_path):
        one.path.write_bytes(one.content)

    for option in ("-n", "-M"):
        result = subprocess.run(["postconf", "-c", str(tmp_path), option], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("case", CASES)
def test_every_line_has_its_reason_above(case: str) -> None:
    for one in CASES[case](Path("/etc/postfix")):
        lines = [line for line in one.content.decode().splitlines() if not line.startswith(" ")]
        explained = False
        for line in lines:
            if line.startswith("#"):
                explained = not line.startswith("# ----")
            elif line:
                assert explained, f"{one.path.name}: {line}"


def test_a_silent_scanner_stops_mail_whatever_else_stands_in_the_row() -> None:
    made = settings(postfix(intent(demo(FULL))))

    row = re.findall(r"\{ (\S+), default_action=(\w+),", made["smtpd_milters"])
    assert row == [
        ("inet:127.0.0.1:8892", "accept"),
        ("unix:/run/gatepost/milter.sock", "tempfail"),
        ("unix:/run/opendkim/opendkim.sock", "tempfail"),
        ("inet:127.0.0.1:8893", "tempfail"),
    ]
    assert made["milter_default_action"] == "tempfail"
    assert made["non_smtpd_milters"] == "$smtpd_milters"


def test_the_wait_for_gatepost_is_longer_than_a_mail_may_take() -> None:
    made = settings(postfix(intent(demo('\n[mail.limits]\nwall = "5m"\n'))))

    assert made["milter_content_timeout"] == "360s"


def test_a_site_without_a_milter_is_refused_with_the_remedy() -> None:
    site = loads('[site]\nname = "W"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "192.168.3.45:25"\n')

    with pytest.raises(RelayError, match=r"\[mail.milter\]"):
        intent(site)


def test_submission_without_a_certificate_is_refused() -> None:
    with pytest.raises(RelayError, match=r"relay\.tls\.certificate"):
        postfix(intent(demo('\n[relay.submission]\nsocket = "unix:/run/dovecot/auth"\n')))


def test_only_the_zones_of_the_site_may_send_to_the_world() -> None:
    (table,) = (one.content.decode() for one in postfix(intent(demo())) if one.path.name == "mynetworks")

    networks = [line.split()[0] for line in table.splitlines() if not line.startswith("#")]
    assert networks == ["127.0.0.0/8", "::1/128", "192.168.3.0/24", "2001:db8:3::/64"]


def test_rates_of_different_units_are_counted_in_one() -> None:
    made = settings(postfix(intent(demo('\n[relay.limits]\nrate = "2/s"\nmessages = "100/m"\nrecipients = "600/h"\n'))))

    assert made["anvil_rate_time_unit"] == "3600s"
    assert made["smtpd_client_connection_rate_limit"] == "7200"
    assert made["smtpd_client_message_rate_limit"] == "6000"
    assert made["smtpd_client_recipient_rate_limit"] == "600"
