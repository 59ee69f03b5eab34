"""Tripwire and AIDE policies are read, and what is wrong with them is explained."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.integrity import attributes as at
from gatepost.integrity.aide import import_aide
from gatepost.integrity.compile import compile_policy
from gatepost.integrity.entry import key_of
from gatepost.integrity.imported import Imported, as_toml
from gatepost.integrity.selection import Selector
from gatepost.integrity.tripwire import import_tripwire
from gatepost.site.integrity import Integrity, Rule

PAPER = """\
{
  rulename = "Dan's log file",
  severity = 100
}
{
  /var/log/messages -> $(ReadOnly);
}
"""

POLICY = """\
@@section GLOBAL
TWBIN = /usr/sbin;
SIG_HI = 100;
SEC_BIN = $(ReadOnly);
@@section FS
(
  rulename = "Binaries", severity = $(SIG_HI), emailto = root@example.org;admin@example.org
)
{
  $(TWBIN)/siggen -> $(SEC_BIN);
  "/usr/bin"      -> $(SEC_BIN) -i (recurse = 1);
}
@@ifhost relay
/etc/postfix -> $(IgnoreNone)-SHa;
@@else
/etc/other -> $(Dynamic);
@@endif
!/usr/bin/skipped;
/dev/console -> $(Device);
/var/log/syslog -> $(Growing) ;
"""


def _masks(found: Imported) -> dict[str, int]:
    return {path: at.parse(rule.watch) for rule in found.rules for path in rule.paths}


def test_the_snippet_of_the_paper_is_read_and_its_fault_explained() -> None:
    found = import_tripwire(PAPER)

    assert [(r.name, r.paths, r.severity) for r in found.rules] == [("Dan's log file", ("/var/log/messages",), 100)]
    assert found.errors == ()
    assert "parentheses" in found.remarks[0].text
    assert found.remarks[0].line == 1
    assert "canary" in found.remarks[1].text


def test_the_snippet_with_parentheses_needs_no_such_remark() -> None:
    found = import_tripwire(PAPER.replace("{", "(", 1).replace("}", ")", 1))

    assert [remark.line for remark in found.remarks] == [6]


def test_blocks_variables_stop_points_and_directives_are_understood() -> None:
    found = import_tripwire(POLICY, "relay")
    binaries, usr_bin = found.rules[:2]

    assert found.remarks == ()
    assert (binaries.name, binaries.severity, binaries.mail) == ("Binaries", 100, ("root@example.org", "admin@example.org"))
    assert (usr_bin.recurse, usr_bin.skip) == (1, ("/usr/bin/skipped",))
    masks = _masks(found)
    assert masks["/usr/sbin/siggen"] & at.CONTENT
    assert not masks["/usr/bin"] & at.INODE
    assert masks["/etc/postfix"] & at.CTIME
    assert "/etc/other" not in masks
    assert masks["/var/log/syslog"] & at.GROWING
    assert "/etc/other" in _masks(import_tripwire(POLICY, "elsewhere"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("/etc -> $(Nothing);", 1, "Nothing is not defined"),
        ("\n/etc -> +pX;", 2, '"X" is no Tripwire property'),
        ("etc -> +p;", 1, "no absolute path"),
        ("/etc $(ReadOnly);", 1, "begins no rule"),
        ("(severity = high) { /etc -> +p; }", 1, "no attribute"),
        ("@@unheard of", 1, "not known"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_line(text: str, line: int, words: str) -> None:
    found = import_tripwire(text + "\n/usr -> +p;\n")

    assert [(error.line, words in error.text) for error in found.errors] == [(line, True)]
    assert "/usr" in _masks(found)


def test_a_missing_semicolon_is_forgiven_and_told() -> None:
    found = import_tripwire("( rulename = x ) { /etc -> +p }")

    assert [r.paths for r in found.rules] == [("/etc",)]
    assert '";"' in found.remarks[0].text


@given(st.text(alphabet='(){};,=!-> $@"#/etcbin\n', max_size=80))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    import_tripwire(text)
    import_aide(text)


AIDE = """\
database_in=file:/var/lib/aide/aide.db
@@define DIR /usr
Full = p+u+g+s+sha512
Log = p+u+g+n+S
@@{DIR}/bin Full
/etc R-i
=/var/log$ Full
/var/log/.*\\.gz$ E
!/var/log/journal
!/usr/bin/.*\\.pyc$
/boot f L
"""


def test_an_aide_configuration_is_read() -> None:
    found = import_aide(AIDE)
    rules = {rule.paths[0] + rule.pattern: rule for rule in found.rules}

    assert found.errors == ()
    assert at.parse(rules["/usr/bin"].watch) & at.CONTENT
    assert not at.parse(rules["/etc"].watch) & at.INODE
    assert rules["/var/log"].recurse == 0
    assert rules["/var/log/journal"].watch == "Ignore"
    assert rules["/usr/bin^/usr/bin/.*\\.pyc$"].watch == "Ignore"
    assert "restriction" in found.remarks[0].text


def test_an_imported_configuration_selects_as_its_author_meant(tmp_path: Path) -> None:
    policy = compile_policy(Integrity(rules=import_aide(AIDE).rules), tmp_path).policy
    select = Selector(policy)

    def watched(path: str) -> bool:
        return select.lookup(key_of(path)) is not None

    assert watched("/usr/bin/ls")
    assert not watched("/usr/bin/x.pyc")
    assert watched("/var/log")
    assert not watched("/var/log/syslog")
    assert watched("/var/log/a.gz")
    assert not watched("/var/log/journal/x")


@pytest.mark.parametrize("text", ["/etc Unknown", "/etc( R", "etc R", "@@include /x"])
def test_what_aide_means_and_we_do_not_know_is_an_error(text: str) -> None:
    assert len(import_aide(text).errors) == 1


@pytest.mark.parametrize("found", [import_tripwire(POLICY, "relay"), import_aide(AIDE)])
def test_rules_survive_the_way_through_the_site_file(found: Imported) -> None:
    back = tomllib.loads(as_toml(found.rules))["integrity"]["rules"]

    assert tuple(Rule(**rule) for rule in back) == found.rules
