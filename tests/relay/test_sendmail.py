"""Complete Sendmail configurations from the site: compared with golden files, and built and read by Sendmail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gatepost.relay.capability import postfix_lacks, sendmail_lacks
from gatepost.relay.compile import Mta, remarks
from gatepost.relay.intent import RelayError, intent
from gatepost.relay.sendmail import sendmail
from gatepost.relay.sendmail_access import keys
from tests.relay.sites import FULL, demo
from tests.support.sendmail import TREE

GOLDEN = Path(__file__).parent / "golden"
WITHOUT_SUBMISSION = FULL[: FULL.index("[relay.submission]")]
CASES = {"sendmail-demo": "", "sendmail-full": WITHOUT_SUBMISSION}


@pytest.mark.parametrize("case", CASES)
def test_a_site_compiles_to_the_golden_files(case: str) -> None:
    made = {one.path.name: one.content.decode() for one in sendmail(intent(demo(CASES[case])))}
    if os.environ.get("GATEPOST_WRITE_GOLDEN"):
        for name, text in made.items():
            (GOLDEN / f"{case}.{name}").write_text(text)

    assert made == {path.name.removeprefix(f"{case}."): path.read_text() for path in GOLDEN.glob(f"{case}.*")}


@pytest.mark.parametrize("case", CASES)
def test_m4_builds_it_without_a_word_and_milters_fail_closed(case: str, tmp_path: Path) -> None:
    library = TREE / "usr/share/sendmail/cf"
    if not library.exists() or not shutil.which("m4"):
        pytest.skip("needs Sendmail's packages unpacked (scripts/sendmail-tree) and m4")
    for one in sendmail(intent(demo(CASES[case])), tmp_path, library):
        one.path.write_bytes(one.content)
    made = subprocess.run(["m4", f"-D_CF_DIR_={library}/", str(tmp_path / "sendmail.mc")], capture_output=True, text=True, check=True)

    assert made.stderr == ""
    assert re.search(r"^Xgatepost, S=local:/run/gatepost/milter.sock, F=T, T=", made.stdout, re.MULTILINE)
    order = re.search(r"^O InputMailFilters=(.*)$", made.stdout, re.MULTILINE)
    assert order
    assert order[1] == ("gatepost" if case == "sendmail-demo" else "spamass,gatepost,opendkim,dkim")
    mailer = re.search(r"^Mhop25,.*$", made.stdout, re.MULTILINE)
    assert mailer
    assert "L=0" in mailer[0]


def test_submission_is_refused_since_sendmail_cannot_ask_dovecot() -> None:
    with pytest.raises(RelayError, match="Dovecot"):
        sendmail(intent(demo(FULL)))


def test_what_sendmail_cannot_do_is_said() -> None:
    assert "cannot ask the next hop" in remarks(demo(), "sendmail")[0]
    assert not any("Sendmail" in one for one in remarks(demo(), "postfix"))


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_without_a_canary_through_the_mta_somebody_says_so(mta: Mta) -> None:
    """A misspelt milter setting is lawful to both MTAs; only a canary that goes through them notices."""
    without = next(one for one in remarks(demo(), mta) if "canar" in one)

    assert 'through = "127.0.0.1:25"' in without
    assert not any("canar" in one for one in remarks(demo('\n[canary]\nthrough = "127.0.0.1:25"\n'), mta))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("192.168.3.0/24", ["192.168.3"]),
        ("10.0.0.0/8", ["10"]),
        ("192.168.2.0/23", ["192.168.2", "192.168.3"]),
        ("192.0.2.4/31", ["192.0.2.4", "192.0.2.5"]),
        ("2001:db8:3::/64", ["IPv6:2001:db8:3:0"]),
        ("::1/128", ["IPv6:::1"]),
    ],
)
def test_networks_are_keys_of_whole_numbers(network: str, expected: list[str]) -> None:
    assert keys(network) == expected


def test_a_network_of_very_many_lines_is_refused() -> None:
    with pytest.raises(RelayError, match="multiple of 16"):
        keys("2001:db8::/33")


def test_an_mta_without_milter_or_tls_is_refused_with_the_reason() -> None:
    said = "Version 8.17.1\n Compiled with: DNSMAP LOG MATCHGECOS\n\t\tNETINET PIPELINING\n"
    assert [one.split(":")[0] for one in sendmail_lacks(said)] == [
        "Sendmail was compiled without MILTER",
        "Sendmail was compiled without STARTTLS; install one with it",
    ]
    assert sendmail_lacks("Version 8.17.1\n Compiled with: DNSMAP\n\t\tMILTER STARTTLS\n") == []
    assert "does not say" in sendmail_lacks("")[0]
    good = {
        "version": "3.7.11",
        "tables": "btree cidr inline texthash",
        "tls": "OpenSSL 3.0",
        "smuggling": "smtpd_forbid_bare_newline = no",
    }
    assert postfix_lacks(good) == []
    assert "3.5 is the oldest" in postfix_lacks(good | {"version": "3.4.1"})[0]
    assert "without TLS" in postfix_lacks(good | {"tls": "fatal: not compiled in"})[0]
    assert "CVE-2023-51764" in postfix_lacks(good | {"smuggling": "warning: unknown parameter"})[0]
    assert "texthash" in postfix_lacks(good | {"tables": "btree cidr inline"})[0]
