"""Each mistake in a site file gives one error that names file, line, key, what is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.site.load import load, loads
from gatepost.site.problem import Problem, SiteError

GOOD = """\
[site]
name = "Company Widget"

[mail]
domains = ["widget.example"]
next_hop = "192.168.3.45:25"
"""
GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).resolve().parents[2]


def problems(text: str, **options) -> list[str]:
    with pytest.raises(SiteError) as caught:
        loads(text, **options)
    return str(caught.value).split("\n\n")


def test_a_site_of_five_lines_suffices_and_scans() -> None:
    site = loads(GOOD)
    assert list(site.engines) == ["yara", "banned", "hashes"]
    assert site.mail.smtp.listen == "127.0.0.1:10025"
    assert site.virusalerts == "virusalerts@widget.example"
    assert site.next_hop("widget.example") == site.next_hop("elsewhere.example") == "192.168.3.45:25"


def test_a_site_with_a_milter_only_listens_on_no_port() -> None:
    site = loads(GOOD + '[mail.smtp]\nlisten = ""\n[mail.milter]\nlisten = "unix:/run/gatepost/milter.sock"\n')

    assert not site.mail.smtp.listen


def test_the_demo_company_is_right() -> None:
    site = load(ROOT / "examples/widget/site.toml")
    assert site.site.name == "Company Widget"
    assert "clamav" in site.engines


def test_engines_of_the_file_come_besides_the_embedded_ones() -> None:
    site = loads(GOOD + '[engines.clamav]\nsocket = "unix:/run/clamd"\n[engines.yara]\nenabled = false\n')
    assert list(site.engines) == ["yara", "banned", "hashes", "clamav"]
    assert not site.engines["yara"].enabled
    assert site.engines["clamav"].options == {"socket": "unix:/run/clamd"}


ZONES = '[zones.lan]\nprefixes = ["192.168.3.0/24"]\n[zones.net]\nexternal = true\n'
RULE = '[[policy.rules]]\nname = "one"\nfindings = ["banned"]\nthen = "reject"\n'

# What is appended to the good file, and the one problem that must come out.
FAULTS = {
    "misspelt key": (
        "next_hpo = 1\n",
        "site.toml:7: mail.next_hpo: there is no such key\n    7 | next_hpo = 1\n      = did you mean next_hop?",
    ),
    "misspelt section": (
        "[quarantin]\n",
        "site.toml:7: quarantin: there is no such key\n    7 | [quarantin]\n      = did you mean quarantine?",
    ),
    "unknown key": (
        "[metrics]\nzzz = 1\n",
        "site.toml:8: metrics.zzz: there is no such key\n    8 | zzz = 1\n      = valid are: listen",
    ),
    "duration without unit": (
        "[quarantine]\nkeep = 30\n",
        "site.toml:8: quarantine.keep: 30 is not a duration\n    8 | keep = 30\n      = write a number and a unit s, m, h, d or w, like 30d",
    ),
    "bad size": (
        'size_limit = "50X"\n',
        (
            "site.toml:7: mail.size_limit: '50X' is not a size\n    7 | size_limit = \"50X\"\n"
            "      = write a whole number and a unit K, M, G or T, like 50M"
        ),
    ),
    "bad choice": (
        '[mail.smtp.tls]\npolicy = "requird"\n',
        "site.toml:8: mail.smtp.tls.policy: 'requird' is not possible here\n    8 | policy = \"requird\"\n      = did you mean required?",
    ),
    "points without spam": (
        '[[policy.rules]]\nname = "x"\nfindings = ["virus"]\npoints = 3.0\nthen = "reject"\n',
        (
            "site.toml:10: policy.rules[1].points: only spam has points\n"
            "   10 | points = 3.0\n"
            "      = leave points out, or add spam to findings"
        ),
    ),
    "text for a list": (
        '[engines.yara]\ndirections = "inbound"\n',
        'site.toml:8: engines.yara.directions: must be a list in brackets\n    8 | directions = "inbound"',
    ),
    "bad alert address": (
        '[alerts]\nto = ["admin"]\n',
        "site.toml:8: alerts.to[1]: 'admin' is not a mail address\n    8 | to = [\"admin\"]\n      = write it like postmaster@widget.example",
    ),
    "bad socket": (
        '[engines.clamav]\nsocket = "/run/clamd"\n',
        "site.toml:8: engines.clamav.socket: '/run/clamd' is not a socket\n    8 | socket = \"/run/clamd\"\n      = write unix:/path or host:port",
    ),
    "misspelt engine key": (
        '[engines.clamav]\ndeadlin = "3s"\n',
        'site.toml:8: engines.clamav.deadlin: there is no such key\n    8 | deadlin = "3s"\n      = did you mean deadline?',
    ),
    "next hop unknown": (
        '[hosts.mailserver]\nzone = "lan"\naddresses = []\n[zones.lan]\n[mail.routes]\n"widget.example" = "mailsrv:25"\n',
        (
            'site.toml:12: mail.routes.widget.example: no host is called mailsrv\n   12 | "widget.example" = "mailsrv:25"\n'
            "      = did you mean mailserver?"
        ),
    ),
    "route for a foreign domain": (
        '[mail.routes]\n"gadget.example" = "192.0.2.1:25"\n',
        (
            "site.toml:8: mail.routes.gadget.example: gadget.example is not one of mail.domains\n"
            '    8 | "gadget.example" = "192.0.2.1:25"\n      = did you mean widget.example?'
        ),
    ),
    "mail in a circle": (
        'outbound = "127.0.0.1:10025"\n',
        (
            "site.toml:7: mail.outbound: 127.0.0.1:10025 is where Gatepost itself listens: mail would go in a circle\n"
            '    7 | outbound = "127.0.0.1:10025"\n      = name the MTA behind Gatepost'
        ),
    ),
    "two listeners on one port": (
        '[metrics]\nlisten = "127.0.0.1:10025"\n',
        (
            "site.toml:8: metrics.listen: mail.smtp.listen listens on the same socket\n"
            '    8 | listen = "127.0.0.1:10025"\n      = give each listener a port of its own'
        ),
    ),
    "certificate without key": (
        '[mail.smtp.tls]\ncertificate = "/etc/ssl/cert.pem"\n',
        "site.toml:7: mail.smtp.tls: certificate and key belong together\n    7 | [mail.smtp.tls]\n      = give both, or neither",
    ),
    "open relay": (
        'relay_from = ["net"]\n' + ZONES,
        (
            "site.toml:7: mail.relay_from[1]: net is external: this would be an open relay\n"
            '    7 | relay_from = ["net"]\n      = name zones of your own only'
        ),
    ),
    "relay from an unknown zone": (
        'relay_from = ["lam"]\n' + ZONES,
        'site.toml:7: mail.relay_from[1]: no zone is called lam\n    7 | relay_from = ["lam"]\n      = did you mean lan?',
    ),
    "policy names an unknown zone": (
        RULE + 'zones = ["lna"]\n' + ZONES,
        'site.toml:11: policy.rules[1].zones[1]: no zone is called lna\n   11 | zones = ["lna"]\n      = did you mean lan?',
    ),
    "policy delivers viruses": (
        '[[policy.rules]]\nname = "one"\nfindings = ["virus"]\nthen = "deliver"\n',
        (
            "site.toml:10: policy.rules[1].then: this would deliver mail with findings of the kind virus\n"
            '   10 | then = "deliver"\n      = choose quarantine, or write unscanned = true and a reason'
        ),
    ),
    "rule twice": (
        RULE + RULE,
        (
            'site.toml:12: policy.rules[2].name: another rule is called one\n   12 | name = "one"\n'
            "      = the journal names rules: give each a name of its own"
        ),
    ),
    "rule for a bare domain": (
        RULE + 'recipients = ["widget.example"]\n',
        (
            "site.toml:11: policy.rules[1].recipients[1]: 'widget.example' can never match an address\n"
            '   11 | recipients = ["widget.example"]\n      = write *@widget.example'
        ),
    ),
    "no engine left": (
        '[engines]\nyara.enabled = false\nbanned.enabled = false\nhashes.directions = ["outbound", "internal"]\n',
        (
            "site.toml:7: engines: no required engine looks at inbound mail\n    7 | [engines]\n"
            "      = enable one, or add the direction to one"
        ),
    ),
    "quorum of too many": (
        '[policy]\ncombine = "quorum"\nquorum = 4\n',
        "site.toml:9: policy.quorum: 4 antivirus engines must agree, but there are 1\n    9 | quorum = 4\n      = lower it",
    ),
    "spam levels crossed": (
        "[policy.spam]\ntag = 20.0\n",
        "site.toml:8: policy.spam.tag: is over policy.spam.hold: nothing would ever be tagged\n    8 | tag = 20.0\n      = lower it",
    ),
    "mail too large to check": (
        'size_limit = "1G"\n',
        (
            "site.toml:7: mail.size_limit: is over mail.limits.bytes: the largest mails could never be checked whole\n"
            '    7 | size_limit = "1G"\n      = raise mail.limits.bytes'
        ),
    ),
    "zones overlap": (
        ZONES + '[zones.dmz]\nprefixes = ["192.168.0.0/16"]\n',
        (
            "site.toml:12: zones.dmz.prefixes: 192.168.0.0/16 overlaps 192.168.3.0/24 of zone lan\n"
            '   12 | prefixes = ["192.168.0.0/16"]\n      = an address must belong to one zone'
        ),
    ),
    "host in the wrong zone": (
        ZONES + '[hosts.mail]\nzone = "lan"\naddresses = ["192.168.2.3"]\n',
        (
            "site.toml:13: hosts.mail.addresses[1]: 192.168.2.3 is not in zone lan (192.168.3.0/24)\n"
            '   13 | addresses = ["192.168.2.3"]\n      = correct the address or the zone'
        ),
    ),
    "nobody is a recipient": (
        '[mail.recipients]\nverify = "list"\n',
        (
            "site.toml:8: mail.recipients.verify: there is no list: everybody would be refused\n"
            '    8 | verify = "list"\n      = give addresses or aliases'
        ),
    ),
    "foreign recipient": (
        '[mail.recipients]\naddresses = ["joe@widgets.example"]\n',
        (
            "site.toml:8: mail.recipients.addresses[1]: widgets.example is not one of mail.domains\n"
            '    8 | addresses = ["joe@widgets.example"]\n      = did you mean widget.example?'
        ),
    ),
    "aliases file missing": (
        '[mail.recipients]\naliases = "/nonexistent/aliases"\n',
        (
            "/nonexistent/aliases:1: the aliases file cannot be read: No such file or directory\n"
            "      = correct mail.recipients.aliases, or make the file"
        ),
    ),
    "not TOML": (
        "name = \n",
        "site.toml:7: this is not TOML: Invalid value\n    7 | name = \n      = texts stand in quotes, lists in brackets",
    ),
    "key twice": (
        'next_hop = "x"\n',
        'site.toml:7: this is not TOML: Cannot overwrite a value\n    7 | next_hop = "x"\n      = texts stand in quotes, lists in brackets',
    ),
    "relative path": (
        '[mail.recipients]\naliases = "../aliases"\n',
        "site.toml:8: mail.recipients.aliases: '../aliases' is not a full path\n    8 | aliases = \"../aliases\"\n      = start it with / and leave out ..",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_gives_exactly_one_error_with_line_and_remedy(fault) -> None:
    added, expected = FAULTS[fault]
    assert problems(GOOD + added) == [expected]


@pytest.mark.parametrize("number", range(len(GOOD.splitlines())))
def test_a_file_without_any_one_of_its_lines_is_refused(number) -> None:
    lines = GOOD.splitlines(keepends=True)
    if lines[number].strip():
        assert problems("".join(lines[:number] + lines[number + 1 :]))


def test_an_engine_that_is_not_installed_is_named() -> None:
    kinds = ("yara", "banned", "hashes", "clamav")
    assert problems(GOOD + "[engines.clamv]\n", kinds=kinds) == [
        "site.toml:7: engines.clamv: no engine of the kind clamv is installed\n    7 | [engines.clamv]\n      = did you mean clamav?"
    ]


def test_a_missing_file_and_a_file_that_is_no_text_are_named(tmp_path) -> None:
    with pytest.raises(SiteError, match=r"nothing.toml:1: the site file cannot be read: No such file"):
        load(tmp_path / "nothing.toml")
    (tmp_path / "site.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SiteError, match="not UTF-8"):
        load(tmp_path / "site.toml")


def test_all_problems_come_in_one_run_as_the_golden_file_says() -> None:
    """What sections say of themselves and of each other comes together, in the order of the lines."""
    text = (GOLDEN / "broken.toml").read_text()
    assert "\n\n".join(problems(text, name="broken.toml")) + "\n" == (GOLDEN / "broken.txt").read_text()


def test_windows_line_endings_change_nothing() -> None:
    text = (GOLDEN / "broken.toml").read_text().replace("\n", "\r\n")
    assert "\n\n".join(problems(text, name="broken.toml")) + "\n" == (GOLDEN / "broken.txt").read_text()


WIDGET = (ROOT / "examples/widget/site.toml").read_text()


@given(st.data())
def test_however_a_file_is_damaged_it_is_a_site_or_a_list_of_problems(data) -> None:
    """Lines dropped, swapped, doubled or cut, keys misspelt: never any other error, and always a line that the file has."""
    lines = WIDGET.splitlines()
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(lines) - 1))
        other = data.draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        cut = data.draw(st.integers(0, len(line)))
        lines[place : place + 1] = data.draw(
            st.sampled_from(
                [
                    [],
                    [lines[other]],
                    [line, line],
                    [line[:cut]],
                    [line[:cut] + line[cut + 1 :]],
                    [line.replace("[", "[[")],
                    [line.replace('"', "")],
                ]
            )
        )
    found: tuple[Problem, ...] = ()
    try:
        loads("\n".join(lines))
    except SiteError as error:
        found = error.problems
    assert all(problem.what and 1 <= problem.line <= max(1, len(lines)) for problem in found)


def test_a_wrong_key_of_an_element_in_a_long_list_takes_no_other_with_it() -> None:
    rules = "".join(f'[[policy.rules]]\nname = "r{number}"\nfindings = ["banned"]\nthen = "reject"\nzzz = 1\n' for number in range(12))
    found = problems(GOOD + rules + 'recipients = ["x"]\n')
    assert len(found) == 13
    assert "policy.rules[12].recipients[1]: 'x' can never match" in found[-1]


@pytest.mark.parametrize("kind", ["spam", "ambiguous", "unchecked"])
def test_a_rule_cannot_clean_what_is_no_part_of_a_mail(kind: str) -> None:
    rule = f'[[policy.rules]]\nname = "cleaned"\nfindings = ["virus", "{kind}"]\nthen = "deliver-cleaned"\n'
    with pytest.raises(SiteError, match=f"a mail cannot be cleaned of what is {kind}"):
        loads(GOOD + rule)
