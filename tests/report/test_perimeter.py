"""The page's numbers besides mail, each counted again here from the raw events; and what is not watched is never promised."""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pikepdf
import pytest
from tests.support.journal import judged

from gatepost.assess import interview
from gatepost.assess.model import Assessment
from gatepost.assess.risks import State, register
from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal
from gatepost.journal.tally import Tally
from gatepost.report import render
from gatepost.report.figures import collect, month
from gatepost.report.onepager import LIMITS, Standing, one_pager
from gatepost.report.perimeter import DOWN, DRIFTED, UP, VERIFIED, minutes
from gatepost.report.traffic_perimeter import CURIOUS, perimeter
from gatepost.report.value import value_paper
from gatepost.site.report import Report

START = dt.datetime(2026, 11, 1).astimezone()
END = START + dt.timedelta(days=29, hours=23)
TODAY = dt.date(2026, 12, 20)
WIDGET = Path(__file__).resolve().parent.parent.parent / "examples/widget/interview.txt"


@pytest.fixture
def journal(tmp_path):
    opened = SqliteJournal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def full(journal) -> SqliteJournal:
    journal.append(perimeter(START - dt.timedelta(days=9), END + dt.timedelta(days=5)), sync=False)
    return journal


@pytest.fixture(scope="module")
def risks():
    found = interview.entered(Assessment(), WIDGET.read_text())[0]
    return tuple(risk for risk in register(found, TODAY) if risk.state is State.OPEN)


def document(journal, standing: Standing | None = None):
    return one_pager(collect(journal, month("2026-11")), "Widget", Report(), standing)


def values(journal, standing: Standing | None = None) -> dict[str, str]:
    return {f"{box.title}: {line.name}": line.value for box in document(journal, standing).boxes for line in box.lines}


def raw(journal, kind: str) -> list[Event]:
    period = month("2026-11")
    return [one for _number, one in journal.events(kind=kind, limit=1_000_000) if period.since <= one.at < period.until]


def test_every_number_is_what_the_raw_events_say(full) -> None:
    found = values(full)
    period = month("2026-11")
    minutes_ = [event.data for event in raw(full, "firewall.attempts") if event.data["minute"] >= period.since]
    rows = [row for data in minutes_ for row in data["rows"]]
    reports = raw(full, "integrity.report")

    assert found["Firewall: attempts refused"] == f"{sum(sum(data['dropped'].values()) for data in minutes_):,}"
    assert found["Firewall: searches for holes"] == str(len(raw(full, "firewall.scan")))
    assert found["Firewall: own machines that tried what is not allowed"] == str(len({row[3] for row in rows if row[2] == "internal"}))
    assert found["The servers' files: changes that nobody announced"] == str(
        len({(event.data["host"], event.subject) for event in raw(full, "integrity.finding")})
    )
    assert found["The servers' files: checks that proved to be alive"] == f"{len(reports)} of {len(reports)}"
    went, came = raw(full, DOWN), raw(full, UP)
    assert found.get("Outages: internet down", "0 min") == f"{sum(b.at - a.at for a, b in zip(went, came, strict=True)) / 60:,.0f} min"


def test_the_machine_that_tried_twenty_closed_services_is_named_with_its_number(full) -> None:
    firewall = collect(full, month("2026-11")).perimeter.firewall
    paper = value_paper("Widget", month("2026-11"), firewall, {"internet"}, {CURIOUS: "dave-pc"})
    text = render.paper(paper, "text").decode()

    assert firewall.sources["internal", CURIOUS] == 60
    assert "dave-pc" in text
    assert CURIOUS in text
    assert sum(firewall.tried.values()) == sum(firewall.sources.values())


@pytest.mark.parametrize(
    ("event", "promise"),
    [
        (Event(0, "canary.failed", "canary", {"text": "taken"}), "test virus"),
        (Event(0, DRIFTED, "firewall", {}), "firewall passed only"),
        (
            Event(
                0,
                "integrity.report",
                "relay",
                {"status": "broken", "findings": 0, "explained": 0, "sequence": 9, "canary": "missing", "alarms": []},
            ),
            "genuine and complete",
        ),
    ],
)
def test_one_invariant_that_failed_in_the_period_changes_the_guarantee(full, event: Event, promise: str) -> None:
    full.append([replace(judged(1), at=END.timestamp() - 7200)], sync=False)
    before = document(full)
    full.append([replace(event, at=END.timestamp() - 3600)], sync=False)
    after = document(full)
    (broken,) = [one for one in after.promises if one.broken]

    assert before.well
    assert "no mail was delivered unscanned" in before.headline
    assert not after.well
    assert before.headline != after.headline
    assert promise in broken.text
    assert "2026-11-30" in broken.broken[0]


def test_what_nobody_watched_is_not_promised_and_stands_among_the_limits(journal) -> None:
    page = document(journal)

    assert len(page.promises) == 2
    assert not [box for box in page.boxes if box.title in {"Firewall", "The servers' files", "Outages", "Open risks"}]
    assert page.limits[:-1] == LIMITS
    for word in ("firewall", "files", "test virus"):
        assert word in page.limits[-1]


def test_open_risks_are_counted_and_the_gravest_named_with_owner_and_date(full, risks) -> None:
    found = values(full, Standing(risks=risks, today=TODAY))
    text = render.as_text(document(full, Standing(risks=risks, today=TODAY)))
    counts = Counter(risk.weight for risk in risks)

    assert found["Open risks: open, of them grave"] == f"{len(risks)}, {counts['grave']}"
    assert found["Open risks: overdue"] == str(sum(risk.due < TODAY for risk in risks))
    assert risks[0].known.title in " ".join(text.split())
    assert str(risks[0].due) in text


def test_the_last_try_from_outside_is_told_also_when_it_went_badly(journal) -> None:
    journal.append([Event(START.timestamp() + day * 86_400, VERIFIED, "internet", {"well": day == 1}) for day in (1, 2)], sync=False)

    assert values(journal)["Firewall: last tried from outside"] == "2026-11-03, NOT AS DECLARED"


@pytest.mark.parametrize(
    ("states", "down"),
    [([], 0), ([(60, True)], 0), ([(60, False), (120, True)], 1), ([(60, False), (90, False), (180, True)], 2), ([(0, False)], 10)],
)
def test_minutes_down_are_those_between_the_first_failure_and_the_next_success(states, down) -> None:
    assert minutes(states, 600) == down


@pytest.mark.parametrize("mails", [10, 1_000_000])
def test_the_fullest_page_is_one_page_for_ten_and_for_a_million_mails(full, risks, mails: int) -> None:
    full.append([Event(START.timestamp() + 5, VERIFIED, "internet", {"well": False})], sync=False)
    figures = collect(full, month("2026-11"))
    names = Counter({("inbound", f"Win.Trojan.{'Long' * 20}{number}"): mails // 7 + number for number in range(40)})
    figures = replace(
        figures,
        tally=Tally(mails, mails * 50_000, mails * 0.02, 299.9, figures.tally.days, names, names, names, names),
        infected_in=mails // 3,
        infected_out=mails // 5,
        held=mails // 2,
        released=mails // 9,
        blind={"clamav": 44_640},
        oldest_signatures=400,
        delivered_unchecked=(),
    )
    outages = {f"line-{'long' * 12}{number}": 44_640.0 for number in range(9)}
    figures = replace(figures, perimeter=replace(figures.perimeter, outages=outages, silent=tuple(float(one) for one in range(9))))
    page = one_pager(figures, "Company " + "Widget " * 5, Report(hour_costs=100), Standing(risks=risks, today=TODAY))

    with pikepdf.open(io.BytesIO(render.as_pdf(page))) as pdf:
        assert len(pdf.pages) == 1
    assert all(limit in page.limits for limit in LIMITS)


def test_the_same_seed_gives_the_same_month_in_order_with_scans_an_insider_and_a_finding() -> None:
    first, second = perimeter(START, END, 3), perimeter(START, END, 3)
    kinds = Counter(event.kind for event in first)

    assert first == second
    assert [event.at for event in first] == sorted(event.at for event in first)
    assert kinds["firewall.scan"] > 3
    assert kinds["integrity.finding"] == 1
    assert {DOWN, UP, "canary.passed"} <= set(kinds)
