"""Each recipient hears of what is held for them, and of nothing else; links act once, and only for what they may decide."""

from __future__ import annotations

import re

import pytest
from tests.support.console import NOW, House
from tests.support.journal import finding

from gatepost.console.desk import DeskError
from gatepost.console.digest import Rounds, digests
from gatepost.report.story import KINDS
from gatepost.site.model import Site

RAW = b"Subject: x\r\n\r\nx\r\n"
SPAM = [finding("spam", "score", "rspamd")]


def made(home: House, hours: float = 24) -> dict[str, str]:
    mails = digests(
        home.console.site, home.journal, home.console.sessions, "http://testserver", NOW, dict.fromkeys(KINDS, NOW - hours * 3600)
    )
    return {envelope.recipients[0]: content.decode() for envelope, content in mails}


def test_every_recipient_of_a_held_mail_is_told_and_each_link_releases_to_that_one(home: House) -> None:
    home.hold(1, RAW, ("joe@widget.example", "sue@widget.example"), findings=SPAM)
    mails = made(home)
    (path,) = re.findall(r"http://testserver(/link/\S+)", mails["sue@widget.example"])
    client = home.client()
    for _ in range(100):
        client.get(path)
    assert home.desk.sent == []
    client.post(path, data={"x": "y"})

    assert set(mails) == {"joe@widget.example", "sue@widget.example"}
    assert [envelope.recipients for envelope, _data in home.desk.sent] == [("sue@widget.example",)]


def test_what_could_do_harm_has_no_link(home: House) -> None:
    home.hold(1, RAW)
    (mail,) = made(home).values()

    assert "/link/" not in mail
    assert "ask postmaster@widget.example" in mail


def test_strangers_and_old_mails_are_left_out(home: House) -> None:
    home.hold(1, RAW, ("carol@partner.example",), findings=SPAM)
    home.hold(-100_000, RAW, ("joe@widget.example",), findings=SPAM)

    assert made(home) == {}


def test_a_mails_words_cannot_break_out_of_their_line(home: House) -> None:
    home.hold(1, RAW, findings=SPAM, subject="a\r\nBcc: x@evil.example\r\n\r\nhttp://evil.example")
    (mail,) = made(home).values()

    assert "\nBcc" not in mail


def test_each_kind_has_its_interval_and_nobody_is_told_twice(home: House) -> None:
    home.console.site = Site.model_validate(
        home.console.site.model_dump(mode="json", by_alias=True) | {"console": {"digest": {"spam": "1h", "banned": "1d"}}}
    )
    rounds = Rounds(home.console, home.database, "http://testserver")
    home.hold(1, RAW, findings=SPAM)
    home.hold(2, RAW + b"x", ("sue@widget.example",))
    first = rounds.go()
    again = rounds.go()
    home.clock.now += 3600
    home.journal.append([], sync=False)
    home.hold(3, RAW + b"y", ("tom@widget.example",), findings=[finding()])
    hour = rounds.go()

    assert (first, again, hour) == (2, 0, 0)
    assert [envelope.recipients[0] for envelope, _content in home.desk.sent] == ["joe@widget.example", "sue@widget.example"]


def test_who_could_not_be_told_is_told_in_the_next_round(home: House) -> None:
    home.console.site = Site.model_validate(
        home.console.site.model_dump(mode="json", by_alias=True) | {"console": {"digest": {"spam": "1h"}}}
    )
    rounds = Rounds(home.console, home.database, "http://testserver")
    home.hold(1, RAW, findings=SPAM)
    home.desk.broken = True
    with pytest.raises(DeskError):
        rounds.go()
    home.desk.broken = False

    assert rounds.go() == 1
