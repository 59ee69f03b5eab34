"""Every way in which an administrator gets it wrong: each planted alone, and each gives one named error with its remedy.

What the site file alone shows is told by `gatepost site check`, what keeps a gateway from starting by `gatepost mail serve`; what goes wrong
later is in `test_planted_later.py`.
"""

from __future__ import annotations

import pytest
from tests.support.commandline import gatepost
from tests.support.plants import Fault, Plant, plant, sink, site, strange_certificate

__all__ = ["plant", "sink"]

IN_THE_SITE_FILE: dict[str, tuple[Fault, str, str]] = {
    "a misspelt key": (site(mail='next_hpo = "x.example:25"'), "mail.next_hpo: there is no such key", "did you mean next_hop?"),
    "a misspelt section": (site(extra="[quarentine]"), "quarentine: there is no such key", "did you mean quarantine?"),
    "no TOML": (site(extra="[policy"), "this is not TOML", "brackets"),
    "a number without unit": (site(extra="[alerts]\ninterval = 15"), "15 is not a duration", "write a number and a unit"),
    "an engine that is not installed": (site(extra="[engines.mcafee]"), "no engine of the kind mcafee is installed", "valid are: "),
    "a zone that nobody declared": (site(zones='"interal"'), "no zone is called interal", "did you mean internal?"),
    "an open relay": (site(zones='"internet"'), "this would be an open relay", "name zones of your own only"),
    "a host that nobody declared": (site(hop="mailsrv:25"), "no host is called mailsrv", "there is none to choose from"),
    "mail in a circle": (site(hop="127.0.0.1:10025", smtp=10025), "mail would go in a circle", "name the MTA behind Gatepost"),
    "viruses let through": (
        site(extra='[[policy.rules]]\nname = "all"\nfindings = ["virus"]\nthen = "deliver"'),
        "this would deliver mail with findings of the kind virus",
        "choose quarantine",
    ),
    "a socket without full path": (site(extra='[engines.clamav]\nsocket = "unix:clamd.ctl"'), "needs a full path", "unix:/"),
}


@pytest.mark.parametrize("name", IN_THE_SITE_FILE)
def test_what_is_wrong_in_the_site_file_is_one_problem_with_its_line_and_remedy(name: str, plant: Plant) -> None:
    fault, what, remedy = IN_THE_SITE_FILE[name]
    fault(plant)

    result = gatepost("site", "check", plant.write())

    assert result.status == 1
    assert result.errors.endswith("\n1 problem; nothing was changed\n"), result.errors
    assert what in result.errors
    assert remedy in result.errors


def broken_rules(plant: Plant) -> None:
    plant.set(extra=f'[engines.yara]\nrules = "{plant.file("bad.yar", "rule x { condition: nonsense }")}"')


def bad_hashes(plant: Plant) -> None:
    plant.set(extra=f'[engines.hashes]\nlists = "{plant.file("bad.txt", "not a digest" + chr(10))}"')


def port_taken(plant: Plant) -> None:
    plant.set(smtp=plant.listener())


def journal_gone(plant: Plant) -> None:
    plant.file("state/journal.sqlite.anchor", '{"sequence":7,"hash":"00"}')


def journal_damaged(plant: Plant) -> None:
    plant.file("state/journal.sqlite", b"SQLite format 3\0" + bytes(5000))


AT_THE_START: dict[str, tuple[Fault, str, str]] = {
    "a rule file that is not there": (
        site(extra='[engines.yara]\nrules = "/nonexistent/own.yar"'),
        "cannot read the YARA rules /nonexistent/own.yar",
        "correct the option 'rules'",
    ),
    "a rule file that does not compile": (broken_rules, "unknown identifier `nonsense`", "correct the rule"),
    "a list of digests with a mistake": (bad_hashes, "bad.txt, line 1: not a SHA-256 digest", "correct or remove the line"),
    "a misspelt option of an engine": (site(extra="[engines.yara]\nfastscan = true"), "option 'fastscan' is not known", "nearest is '"),
    "a port that is taken": (port_taken, "Address already in use", "choose an address of this machine and a free port"),
    "a milter socket without folder": (site(milter="/nonexistent/milter.sock"), "/nonexistent/milter.sock", "the folder must exist"),
    "a file where the milter socket should be": (
        lambda plant: plant.set(milter=plant.file("milter.sock")),
        "exists and is no socket",
        "remove it or choose another path",
    ),
    "a group that does not exist": (
        site(extra='group = "nosuchgroup"'),
        "nosuchgroup",
        "the group must exist",
    ),
    "a state folder that cannot be made": (site(state="/dev/null/state"), "/dev/null/state: Not a directory", "name another folder"),
    "a damaged key": (lambda plant: plant.file("state/keys/receipts.key", "short"), "receipts.key is damaged", "restore it from a backup"),
    "a journal that is gone": (journal_gone, "is gone; it had 7 events", "Restore the newest backup"),
    "a journal that is damaged": (journal_damaged, "file is not a database", "restore the newest backup"),
    "a certificate that is not there": (
        site(tls='tls = { certificate = "/nonexistent.crt", key = "/nonexistent.key" }'),
        "/nonexistent.crt: No such file or directory",
        "or name another",
    ),
    "another certificate's key": (strange_certificate, "certificate or key of mail.smtp.tls", "belong together"),
}


@pytest.mark.parametrize("name", AT_THE_START)
def test_what_keeps_the_gateway_from_starting_is_one_sentence_with_its_remedy(name: str, plant: Plant) -> None:
    fault, what, remedy = AT_THE_START[name]
    fault(plant)

    result = gatepost("mail", "serve", "--site", plant.write(), seconds=20)

    assert result.status == 2, result.errors
    assert "Traceback" not in result.errors
    assert what in result.errors
    assert remedy in result.errors
