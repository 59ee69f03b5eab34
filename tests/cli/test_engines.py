"""`gatepost engines`: versions, and whether each engine catches what it must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.commandline import gatepost
from tests.support.gateway import Gateway
from tests.support.ports import free_port

from gatepost.journal.store import SqliteJournal
from gatepost.mail.inspect.samples import WRAPPINGS

SITE = """
[site]
name = "Engines"
state = "{home}/state"
run = "{home}/run"
[mail]
domains = ["widget.example"]
next_hop = "mail.widget.example:25"
{extra}
"""


def site(home: Path, extra: str = "") -> Path:
    path = home / "site.toml"
    path.write_text(SITE.format(home=home, extra=extra))
    return path


def test_engines_are_listed_with_their_versions(tmp_path: Path) -> None:
    result = gatepost("engines", "list", "--json", "--site", site(tmp_path))

    told = {one["engine"]: one for one in json.loads(result.output)}
    assert list(told) == ["yara", "banned", "hashes"]
    assert told["yara"]["version"].startswith("YARA-X")
    assert result.status == 0
    assert "YARA-X" in gatepost("engines", "list", "--site", site(tmp_path)).output


def test_an_engine_that_finds_every_wrapping_is_certified_and_others_by_harmless_mail_alone(tmp_path: Path) -> None:
    result = gatepost("engines", "certify", "--json", "--site", site(tmp_path))

    told = {one["engine"]: one for one in json.loads(result.output)}
    assert set(told["yara"]["detected"]) == set(WRAPPINGS)
    assert {one["passed"] for one in told.values()} == {True}
    assert {one["recorded"] for one in told.values()} == {False}
    assert result.status == 0


def test_an_engine_that_misses_is_refused_with_the_list_of_misses(tmp_path: Path) -> None:
    (tmp_path / "own.yar").write_text('rule own { strings: $a = "never to be seen" condition: $a }')
    result = gatepost(
        "engines", "certify", "yara", "--site", site(tmp_path, f'[engines.yara]\nown_rules = false\nrules = "{tmp_path}/own.yar"')
    )

    assert result.status == 1
    assert f"yara: not certified: {len(WRAPPINGS)} missed, 0 false alarms" in result.output
    assert [name for name in WRAPPINGS if f"missed {name}: not found" not in result.output] == []


def test_an_engine_that_calls_everything_bad_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yar").write_text("rule everything { condition: true }")
    result = gatepost("engines", "certify", "yara", "--site", site(tmp_path, f'[engines.yara]\nrules = "{tmp_path}/own.yar"'))

    assert result.status == 1
    assert "false alarm zip-deflated: virus: everything" in result.output


@pytest.mark.parametrize("verb", ["list", "certify"])
def test_an_engine_that_cannot_be_asked_is_status_2(verb: str, tmp_path: Path) -> None:
    result = gatepost("engines", verb, "--site", site(tmp_path, f'[engines.clamav]\nsocket = "127.0.0.1:{free_port()}"'))

    assert result.status == 2
    assert "Connection refused" in " ".join(result.output.split())


def test_an_engine_that_the_site_does_not_have_is_said(tmp_path: Path) -> None:
    result = gatepost("engines", "certify", "mcafee", "--site", site(tmp_path))

    assert result.status == 2
    assert "the site has no engine 'mcafee'; it has yara, banned, hashes" in result.errors


def test_a_certificate_is_in_the_journal_of_a_running_gateway(tmp_path: Path) -> None:
    running = Gateway(tmp_path, free_port()).start()
    try:
        told = json.loads(running.command("engines", "certify", "yara", "--json"))
    finally:
        running.stop()

    ((_number, event),) = SqliteJournal(tmp_path / "state/journal.sqlite", writes=False).events(kind="engine.certified")
    assert event.subject == "yara"
    assert (event.data["id"], event.data["passed"]) == (told[0]["id"], True)
    assert told[0]["recorded"]
