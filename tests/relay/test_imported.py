"""Old configurations: every line gives a proposal, a remark, or the remark that it was not understood."""

from __future__ import annotations

import shutil
import subprocess
import tomllib

import pytest

from gatepost.relay.imported import read
from gatepost.relay.proposal import toml
from tests.support.sendmail import TREE


def remarks(name: str, text: str) -> str:
    return "\n".join(str(one) for one in read(name, text).remarks)


def proposed(name: str, text: str) -> dict[str, object]:
    return tomllib.loads(toml(read(name, text).proposals))


PRINTED = "INPUT_MAIL_FILTER('milter-amavis', 'S=local:/var/amavis/amavis-milter.sock, T=S:10m;R:10m;E:10m')"


@pytest.mark.parametrize(
    "line",
    [PRINTED, PRINTED.replace("'", "\u2018", 1).replace("'", "\u2019"), PRINTED.replace("'", "`")],
    ids=["straight", "typographic", "two backticks"],
)
def test_the_milter_line_as_printed_is_explained_and_mended(line: str) -> None:
    said = remarks("sendmail.mc", line + "\n")

    assert "the quotes are not m4's" in said
    assert "mail passes unscanned while this milter is down" in said
    assert "INPUT_MAIL_FILTER(`milter-amavis', `S=local:/var/amavis/amavis-milter.sock, F=T, T=S:10m;R:10m;E:10m')dnl" in said
    assert proposed("sendmail.mc", line) == {
        "relay": {"milters": [{"name": "milter-amavis", "socket": "unix:/var/amavis/amavis-milter.sock"}]}
    }


def test_the_mended_line_is_one_that_m4_takes() -> None:
    library = TREE / "usr/share/sendmail/cf"
    if not library.exists() or not shutil.which("m4"):
        pytest.skip("needs Sendmail's packages unpacked (scripts/sendmail-tree) and m4")
    (mended,) = (one.remedy.removeprefix("write ") for one in read("sendmail.mc", PRINTED).remarks if one.key == "F=")
    source = f"include(`{library}/m4/cf.m4')dnl\nOSTYPE(`linux')dnl\n{mended}\nMAILER(`smtp')dnl\n"
    made = subprocess.run(["m4", f"-D_CF_DIR_={library}/"], input=source, capture_output=True, text=True, check=True)

    assert made.stderr == ""
    assert "Xmilter-amavis, S=local:/var/amavis/amavis-milter.sock, F=T, T=S:10m;R:10m;E:10m" in made.stdout


def test_a_right_milter_line_is_left_alone() -> None:
    assert remarks("sendmail.mc", "INPUT_MAIL_FILTER(`gatepost', `S=local:/run/g.sock, F=T, T=S:30s')dnl\n") == ""


@pytest.mark.parametrize("feature", ["promiscuous_relay", "relay_local_from", "relay_based_on_MX", "loose_relay_check"])
def test_features_that_open_the_relay_are_named(feature: str) -> None:
    assert f"sendmail.mc:1: {feature}: " in remarks("sendmail.mc", f"FEATURE(`{feature}')dnl\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smtpd_milter = unix:/run/x\n", "smtpd_milter: Postfix knows no smtpd_milter"),
        ("milter_default_action = accept\n", "mail passes unscanned"),
        ("mynetworks = 127.0.0.0/8\n  0.0.0.0/0\n", "an open relay"),
        ("smtpd_relay_restrictions = permit_mynetworks\n", "an open relay"),
        ("no equals sign\n", "each new process of Postfix dies"),
        ("smtpd_milters = unix:/run/x\n", "left to the default"),
        ("canonical_maps = hash:/etc/postfix/canonical\n", "was not understood"),
        ("transport_maps = hash:/etc/postfix/transport\n", "was not understood"),
    ],
)
def test_dangers_of_a_main_cf_are_named(text: str, said: str) -> None:
    assert said in remarks("main.cf", text)


def test_a_main_cf_gives_sections_of_the_site() -> None:
    text = "myhostname = mx.widget.example\nrelay_domains = widget.example, other.example\nrelayhost = [192.0.2.1]:25\n"
    text += "smtpd_milters = unix:/run/opendkim.sock, inet:127.0.0.1:8891\nmilter_default_action = tempfail\nmessage_size_limit = 1000\n"

    assert proposed("/etc/postfix/main.cf", text) == {
        "relay": {"hostname": "mx.widget.example", "milters": [{"socket": "unix:/run/opendkim.sock"}, {"socket": "127.0.0.1:8891"}]},
        "mail": {"domains": ["widget.example", "other.example"], "outbound": "192.0.2.1:25", "size_limit": 1000},
    }
    assert remarks("main.cf", text) == ""


def test_relay_domains_are_networks_of_a_zone() -> None:
    text = "192.168.3\nwidget.example\n???\n"

    assert proposed("relay-domains", text)["zones"] == {"internal": {"prefixes": ["192.168.3.0/24"]}}
    assert "relay-domains:3: this was not understood" in remarks("relay-domains", text)


def test_aliases_hosts_and_access() -> None:
    assert "'joe shmoe' has a space and can never match an address" in remarks("aliases", "joe shmoe: joe@internalserver\n")
    assert "delivers to a program" in remarks("aliases", 'list: "|/usr/bin/run"\n')
    assert proposed("hosts", "127.0.0.1 localhost\n192.168.3.45 internalserver is\n") == {
        "hosts": {"internalserver": {"addresses": ["192.168.3.45"]}}
    }
    assert proposed("access", "Connect:127.0.0.1\tRELAY\nConnect:10.1\tRELAY\n")["zones"] == {"internal": {"prefixes": ["10.1.0.0/16"]}}
    assert "was not understood" in remarks("access", "spammer.example REJECT\n")


def test_the_basics_of_amavisd() -> None:
    text = "use strict;\n$mydomain = 'widget.example';\n$sa_tag2_level_deflt = 6.2; # tag\n$virus_admin = \"v\\@widget.example\";\n$max_servers = 2;\n1;\n"
    text += "$final_virus_destiny = D_PASS;\n"

    assert proposed("amavisd.conf", text) == {
        "mail": {"domains": ["widget.example"], "virusalerts": "v@widget.example"},
        "policy": {"spam": {"tag": 6.2}},
    }
    assert "amavisd.conf:5: this was not understood" in remarks("amavisd.conf", text)
    assert "mail with viruses is delivered" in remarks("amavisd.conf", text)


@pytest.mark.parametrize("name", ["main.cf", "sendmail.mc", "relay-domains", "access", "aliases", "hosts", "amavisd.conf", "unknown.txt"])
@pytest.mark.parametrize("text", ["", "\n", "\x00\xff", "=\n", "`'(\n", " x", "a" * 5000, "::::\n"])
def test_rubbish_is_never_an_error(name: str, text: str) -> None:
    read(name, text)
    read(name, text.replace("\n", "\r\n"))
