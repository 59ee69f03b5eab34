"""Every number of the one-pager is counted again here, naively, from the raw events."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pikepdf
import pytest
from tests.support.journal import finding, judged, recipient

from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal
from gatepost.report import render
from gatepost.report.figures import PeriodError, collect, month
from gatepost.report.onepager import LIMITS, one_pager
from gatepost.report.traffic import month as made_up
from gatepost.report.viruses import caught
from gatepost.site.report import Report

START = datetime(2026, 11, 1).astimezone()
END = START + timedelta(days=29, hours=23)


@pytest.fixture
def journal(tmp_path):
    opened = SqliteJournal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def put(journal, *events: Event) -> None:
    journal.append(events, sync=False)


def at(event: Event, when: datetime) -> Event:
    return Event(when.timestamp(), event.kind, event.subject, event.data)


@pytest.fixture
def full(journal) -> SqliteJournal:
    """A month of made-up mail, and mail before and after that must not count."""
    for sent in made_up(START - timedelta(days=20), END + timedelta(days=5), 3000, 41):
        put(journal, *sent.events)
    return journal


def raw(journal) -> list[Event]:
    period = month("2026-11")
    return [event for _number, event in journal.events(limit=1_000_000) if period.since <= event.at < period.until]


def values(journal, **assumptions) -> dict[str, str]:
    document = one_pager(collect(journal, month("2026-11")), "Widget", Report(**assumptions))
    return {f"{box.title}: {line.name}": line.value for box in document.boxes for line in box.lines}


def test_every_number_is_what_the_raw_events_say(full) -> None:
    mails = [event.data for event in raw(full) if event.kind == "mail.judged"]
    infected = [mail for mail in mails if any(one["kind"] == "virus" for one in mail["findings"])]
    inward = [mail for mail in infected if mail["recipients"][0]["direction"] == "inbound"]
    names = Counter(one["name"] for mail in infected for one in mail["findings"])
    senders = Counter(mail["sender"].split("@")[1] for mail in inward)
    found = values(full, clean_up_hours=3, hour_costs=50)

    assert found["Viruses caught: on their way in"] == str(len(inward))
    assert found["Viruses caught: on their way out"] == str(len(infected) - len(inward))
    for name, count in names.most_common(3):
        assert found.get(f"By name: {name}") == str(count)
    assert sum(int(value) for key, value in found.items() if key.startswith("By name")) == names.total()
    assert found[f"Who sent them to us: {senders.most_common(1)[0][0]}"] == str(senders.most_common(1)[0][1])
    assert found["Time and money: working time saved"] == f"{3 * len(inward):,} h"
    assert found["Time and money: money saved"] == f"{150 * len(inward):,} EUR"
    assert found["Mail: mails"] == f"{len(mails):,}"
    assert found["Mail: megabytes"] == f"{sum(mail['size'] for mail in mails) / 1e6:,.0f}"
    held = [mail for mail in mails if any(one["disposition"] == "quarantine" for one in mail["recipients"])]
    assert found["Mail: held for a decision"] == str(len(held))
    assert found["Mail: of them unwanted advertising"] == str(sum(mail["findings"][0]["kind"] == "spam" for mail in held))
    assert found["Mail: held wrongly, released by people"] == str(sum(event.kind == "mail.released" for event in raw(full)))
    assert found["Mail: time for looking at a mail, mean"] == f"{sum(mail['seconds'] for mail in mails) / len(mails):.2f} s"
    assert found["Mail: the longest"] == f"{max(mail['seconds'] for mail in mails):.1f} s"
    assert len(caught(full, month("2026-11"))) == len(infected)


def test_the_trend_counts_infected_mails_of_each_month(full) -> None:
    trend = dict(collect(full, month("2026-11")).trend)
    times = [
        event.at
        for _number, event in full.events(limit=1_000_000)
        if event.kind == "mail.judged" and event.data["findings"][:1] and event.data["findings"][0]["kind"] == "virus"
    ]
    by_month = Counter(datetime.fromtimestamp(one).astimezone().strftime("%Y-%m") for one in times)

    assert len(trend) == 12
    assert trend["2026-11"] == by_month["2026-11"] > 0
    assert trend["2026-10"] == by_month["2026-10"] > 0


@pytest.mark.parametrize(("kind", "promise"), [("unchecked", "looked at"), ("virus", "virus had been found")])
def test_a_broken_promise_changes_the_sentence_and_is_named(journal, kind: str, promise: str) -> None:
    put(journal, at(judged(1), START))
    whole = one_pager(collect(journal, month("2026-11")), "Widget", Report())
    put(journal, at(judged(2, findings=[finding(kind)]), START + timedelta(days=3)))
    broken = one_pager(collect(journal, month("2026-11")), "Widget", Report())

    assert whole.well
    assert "no mail was delivered unscanned" in whole.headline
    assert not broken.well
    assert "no mail was delivered unscanned" not in broken.headline
    (named,) = [one for one in broken.promises if one.broken]
    assert promise in named.text
    assert "2@partner.example" in named.broken[0]
    assert "2026-11-04" in named.broken[0]


def test_silent_minutes_and_old_signatures_are_counted(journal) -> None:
    silent = {"name": "clamav", "version": "1", "state": "timeout", "seconds": 30.0, "signatures": ""}
    old = {"name": "yara", "version": "1", "state": "clean", "seconds": 0.1, "signatures": "2026-11-01"}
    for number, minutes in enumerate((0, 0, 1, 600)):
        put(journal, at(judged(number, "tempfailed", engines=[silent, old]), START + timedelta(days=7, minutes=minutes)))
    found = values(journal)

    assert found["The scanners themselves: minutes in which a scanner did not answer"] == "3"
    assert found["The scanners themselves: oldest virus knowledge in use"] == "7 days"


def test_without_mail_the_page_says_so_and_nothing_else_is_claimed(journal) -> None:
    document = one_pager(collect(journal, month("2026-11")), "Widget", Report())

    assert document.headline == "No mail came through the gateway this month."
    assert "oldest virus knowledge in use" in render.as_text(document)


def test_the_limits_are_on_every_form_of_the_page(full) -> None:
    document = one_pager(collect(full, month("2026-11")), "Widget", Report())

    for form in (" ".join(render.as_text(document).split()), " ".join(render.as_html(document).split())):
        assert all(limit[:40] in form for limit in LIMITS)


def test_time_and_money_can_be_left_out(full) -> None:
    assert not [name for name in values(full, clean_up_hours=0) if name.startswith("Time")]


def test_the_page_is_one_page_for_few_mails_and_for_many_names(journal, tmp_path) -> None:
    draw = random.Random(1)
    for rounds in (10, 400):
        for number in range(rounds):
            key = rounds * 1000 + number
            found = [finding(name="Win.Trojan." + "Long" * 20 + str(number)), finding("unchecked")]
            mail = judged(key, findings=found, sender=f"x@{'long' * 12}{number}.example", message_id="m" * 300, size=10**9)
            put(journal, at(mail, START + timedelta(days=draw.randrange(28))))
        document = one_pager(collect(journal, month("2026-11")), "Company " + "Widget " * 5, Report(hour_costs=1e6))
        (tmp_path / "x.pdf").write_bytes(render.as_pdf(document))
        with pikepdf.open(tmp_path / "x.pdf") as pdf:
            assert len(pdf.pages) == 1


def test_names_chosen_by_mail_are_text_in_every_form(journal) -> None:
    script = "<script>alert(1)</script>"
    put(journal, at(judged(1, "rejected", findings=[finding(name=script)], sender=f"a@{script}", subject="=1+1"), START))
    period = month("2026-11")
    page = render.as_html(one_pager(collect(journal, period), script, Report()))
    found = caught(journal, period)

    assert "<script>" not in page
    assert b"<script>" not in render.catches(found, script, "2026-11", "html")
    assert b",'=1+1," in render.catches(found, "Widget", "2026-11", "csv")


@pytest.mark.parametrize("name", ["2026", "2026-13", "x", "2026-11-01"])
def test_what_is_no_month_is_an_error(name: str) -> None:
    with pytest.raises(PeriodError, match="write it like"):
        month(name)


def test_december_ends_with_the_year() -> None:
    assert datetime.fromtimestamp(month("2026-12").until).astimezone() == datetime(2027, 1, 1).astimezone()


def test_a_recipient_of_two_directions_counts_once_for_each(journal) -> None:
    both = [recipient(), recipient("x@partner.example", direction="outbound")]
    put(journal, at(judged(1, "rejected", recipients=both, findings=[finding()]), START))
    found = values(journal)

    assert (found["Viruses caught: on their way in"], found["Viruses caught: on their way out"]) == ("1", "1")
    assert dict(collect(journal, month("2026-11")).trend)["2026-11"] == 1


def test_the_same_seed_gives_the_same_month_with_the_viruses_asked_for() -> None:
    first, second = (list(made_up(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC), 300, 5, 7)) for _ in range(2))

    assert first == second
    assert sum(any(one["kind"] == "virus" for one in sent.events[0].data["findings"]) for sent in first) == 5
