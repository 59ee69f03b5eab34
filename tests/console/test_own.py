"""Recipients decide about advertising held for them, and only where the interview did not find that they had better not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.console import NOW, House, field_of
from tests.support.journal import finding

from gatepost.assess import interview, store
from gatepost.assess.model import Assessment
from gatepost.console.digest import digests
from gatepost.console.rights import Role
from gatepost.console.sessions import Link

RAW = b"Subject: x\r\n\r\nx\r\n"
SPAM = [finding("spam", "score", "rspamd")]
LITERACY = ("e-files", "e-attachment", "e-sender", "e-scan", "e-update")


def asked(home: House, points: str | None) -> None:
    """An interview of the site, in which one employee has so many points in each answer; None: nobody was asked."""
    found = interview.answered(Assessment(), "company", "Company Widget")
    if points is not None:
        found = replace(found, sheets=(interview.sheet("", dict.fromkeys(LITERACY, points)),))
    store.save(store.path_in(Path(home.console.site.site.state)), found)


def released(home: House, identifier: str) -> int:
    joe = home.person(Role.USER)
    form = field_of(joe.get("/quarantine").text, "form")
    sent = {"form": form, "act": "release", "pick": f"{identifier} joe@widget.example"}
    told, done = joe.post("/quarantine/confirm", data=sent), joe.post("/quarantine/act", data=sent)
    assert told.status_code == done.status_code
    return int(done.status_code)


@pytest.mark.parametrize(("points", "allowed"), [("3", True), ("2", True), ("0", False), (None, False)])
def test_the_interview_decides_whether_recipients_release_advertising(home: House, points: str | None, *, allowed: bool) -> None:
    asked(home, points)
    identifier = home.hold(1, RAW, findings=SPAM)
    since = {"spam": NOW - 86_400}
    ((_envelope, digest),) = digests(home.console.site, home.journal, home.console.sessions, "http://testserver", NOW, since)

    assert (b"/link/" in digest) is allowed
    assert (b"ask postmaster@widget.example" in digest) is not allowed
    assert released(home, identifier) == (200 if allowed else 403)
    assert len(home.desk.sent) == allowed


def test_without_an_interview_recipients_release_advertising(home: House) -> None:
    assert released(home, home.hold(1, RAW, findings=SPAM)) == 200


@pytest.mark.parametrize("kind", ["virus", "banned", "suspect", "ambiguous", "encrypted", "unchecked"])
def test_a_user_never_releases_what_could_do_harm_and_is_told_whom_to_ask(home: House, kind: str) -> None:
    asked(home, "3")
    identifier = home.hold(1, RAW, findings=[finding(kind, "x", "banned")])
    page = home.person(Role.USER).get(f"/quarantine/{identifier}").text

    assert released(home, identifier) == 403
    assert home.desk.sent == []
    assert f"ask postmaster@widget.example and name the number {identifier}" in page
    assert not re.search(r'value="release"', page)


def test_a_link_from_before_the_interview_is_refused_after_it(home: House) -> None:
    identifier = home.hold(1, RAW, findings=SPAM)
    path = "/link/" + home.console.sessions.make_link(Link("release", identifier, "joe@widget.example"), 3600)
    asked(home, "0")
    client = home.client()

    assert [client.get(path).status_code, client.post(path, data={"x": "y"}).status_code] == [403, 403]
    assert home.desk.sent == []


def test_an_interview_that_cannot_be_read_gives_nobody_a_duty(home: House) -> None:
    asked(home, "3")
    store.path_in(Path(home.console.site.site.state)).write_text("not = [toml")

    assert released(home, home.hold(1, RAW, findings=SPAM)) == 403


def test_administrators_release_whatever_the_interview_found(home: House) -> None:
    asked(home, "0")
    identifier = home.hold(1, RAW)

    assert 'value="release"' in home.person().get(f"/quarantine/{identifier}").text
