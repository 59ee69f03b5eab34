"""Numbers of a report are those of the journal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.journal import finding, judged, recipient

from gatepost.journal.interface import Query
from gatepost.journal.store import SqliteJournal
from gatepost.journal.tally import tally


def facts(*events):
    return [(event.at, event.data) for event in events]


def test_mails_are_counted_by_day_virus_partner_and_engine() -> None:
    found = tally(
        facts(
            judged(1),
            judged(2, findings=[finding(), finding(source="yara")], recipients=[recipient(disposition="reject")]),
            judged(3, findings=[finding("spam", "bulk")]),
            judged(90_000, findings=[finding()], recipients=[recipient("x@customer.example", direction="outbound", disposition="reject")]),
        )
    )
    assert found.mails == 4
    assert found.bytes == 4000
    assert found.days == {
        ("2023-11-14", "inbound", "deliver"): 2,
        ("2023-11-14", "inbound", "reject"): 1,
        ("2023-11-15", "outbound", "reject"): 1,
    }
    assert found.viruses == {("inbound", "Eicar-Test"): 1, ("outbound", "Eicar-Test"): 1}
    assert found.partners == {("inbound", "partner.example"): 1, ("outbound", "customer.example"): 1}
    assert found.kinds == {("inbound", "virus"): 1, ("inbound", "spam"): 1, ("outbound", "virus"): 1}
    assert found.engines == {("yara", "clean"): 4}


@given(st.lists(st.sampled_from(["virus", "spam", ""]), max_size=20))
def test_counting_in_pieces_gives_the_same_as_counting_at_once(kinds) -> None:
    events = [judged(number, findings=[finding(kind)] if kind else []) for number, kind in enumerate(kinds)]
    whole, first, second = tally(facts(*events)), tally(facts(*events[:7])), tally(facts(*events[7:]))
    assert whole.days == first.days + second.days
    assert whole.kinds == first.kinds + second.kinds
    assert whole.mails == first.mails + second.mails


def test_every_number_equals_a_query_on_the_journal(tmp_path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.append([judged(number, findings=[finding()] if number % 3 else []) for number in range(30)], sync=False)
    found = tally(journal.facts(0, 2e9))
    assert found.viruses[("inbound", "Eicar-Test")] == len(journal.search(Query(finding="Eicar-Test"))) == 20
    assert found.partners[("inbound", "partner.example")] == len(journal.search(Query(sender="@partner.example", verdict="virus")))
    journal.close()
