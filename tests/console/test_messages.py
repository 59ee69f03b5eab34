"""The list of all mail: every row once, however it is paged; counts that keep their word; a mail's way in words."""

from __future__ import annotations

import re

import pytest
from tests.support.console import House
from tests.support.journal import finding, judged, recipient

from gatepost.console.listing import PAGE


def fill(home: House, count: int) -> None:
    events = []
    for number in range(count):
        people = [recipient(f"p{one}@widget.example") for one in range(1 + number % 4)]
        found = [finding()] if number % 10 == 0 else []
        events.append(judged(number, recipients=people, findings=found, sender=f"ann{number % 7}@partner.example"))
    home.journal.append(events, sync=False)


def ids(page: str) -> list[str]:
    return re.findall(r'/messages/([0-9A-Z]{14})"', page)


@pytest.mark.parametrize("query", ["", "verdict=virus", "sender=ann3@partner.example", "recipient=@widget.example", "subject=offer"])
def test_paging_shows_every_row_once(home: House, query: str) -> None:
    fill(home, 120)
    person = home.person()
    path, seen = f"/messages?{query}", []
    while path:
        page = person.get(path).text
        seen += ids(page)
        following = re.search(r'rel="next" href="([^"]*)"', page)
        path = following[1].replace("&amp;", "&") if following else ""

    wanted = person.get(f"/messages.csv?{query}").text.splitlines()[1:]
    assert len(seen) == len(wanted) > PAGE or query not in {"", "recipient=@widget.example", "subject=offer"}
    assert sorted(seen) == sorted(line.split(",")[1] for line in wanted)


def test_a_mail_with_more_recipients_than_a_page_is_shown_whole(home: House) -> None:
    home.journal.append([judged(0), judged(1, recipients=[recipient(f"p{one}@widget.example") for one in range(PAGE * 2)])], sync=False)

    assert len(ids(home.person().get("/messages").text)) >= PAGE * 2


def test_the_count_on_a_chip_is_what_it_then_shows(home: House) -> None:
    fill(home, 40)
    person = home.person()
    (count,) = re.findall(r'class="chip virus"[^>]*>virus <b>(\d+)</b>', person.get("/messages").text)

    assert len(ids(person.get("/messages?verdict=virus").text)) == int(count)


@pytest.mark.parametrize("query", ["state=lost", "since=yesterday", "before=-1", "before=%C2%B2", "until=9999-12-31x"])
def test_a_question_without_sense_is_answered_with_a_sentence(home: House, query: str) -> None:
    assert home.person().get(f"/messages?{query}").status_code == 400


def test_a_spreadsheet_runs_nothing_of_a_list(home: House) -> None:
    home.journal.append([judged(1, subject="=cmd|' /C calc'!A0"), judged(2, subject="@SUM(1)"), judged(3, subject="-1")], sync=False)
    rows = home.person().get("/messages.csv").text

    assert not re.findall(r",[=@-]", rows)
    assert "'=cmd" in rows


def test_a_mails_page_names_the_deciding_rule_and_every_finding_in_words(home: House) -> None:
    event = judged(1, "rejected", findings=[finding(), finding("banned", "double-extension", "banned")])
    event.data["recipients"][0]["rule"] = "default.virus.inbound"
    home.journal.append([event], sync=False)
    page = home.person().get(f"/messages/{event.subject}").text

    for words in ("default.virus.inbound", "Eicar-Test", "double-extension", "it carries a virus", "received from mx.partner.example"):
        assert words in page


def test_a_mail_that_is_not_there_is_a_sentence(home: House) -> None:
    assert home.person().get("/messages/NOSUCHMAIL").status_code == 404
