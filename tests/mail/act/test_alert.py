"""Alerts: a storm is one mail an interval, and nothing of the mail itself is in it."""

from __future__ import annotations

from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.act import alert
from gatepost.mail.act.alert import Alert, Pending


def offered(count: int, name: str = "Eicar") -> Pending:
    pending = Pending()
    for number in range(count):
        pending = alert.offer(pending, Alert("virus stopped", name, f"ID{number}"))
    return pending


def composed(pending: Pending):
    return alert.compose(pending, "Company Widget", "postmaster@widget.example", ["virusalerts@widget.example"], 1.0)


def test_a_storm_of_10000_viruses_is_one_mail_an_interval_with_the_count() -> None:
    pending, mails, now = Pending(), [], 1000.0
    for number in range(10_000):
        pending = alert.offer(pending, Alert("virus stopped", "Eicar", f"ID{number}"))
        now += 0.09
        if alert.is_due(pending, now, 900):
            mails.append(composed(pending)[1])
            pending = alert.told(pending, now)
    assert len(mails) == 1
    assert alert.is_due(pending, now + 900, 900)
    assert b"   9999  virus stopped: Eicar  (first: ID1)" in composed(pending)[1]


def test_names_without_end_take_no_memory_without_end() -> None:
    pending = Pending()
    for number in range(1000):
        pending = alert.offer(pending, Alert("virus stopped", f"Virus{number}"))
    assert len(pending.lines) == alert.MOST_LINES
    assert b"1000 alerts" in composed(pending)[1]
    assert b"    950  of other names" in composed(pending)[1]


@given(st.text(), st.text())
def test_nothing_that_a_stranger_names_becomes_a_header_or_a_second_line(name, identifier) -> None:
    envelope, mail = composed(alert.offer(Pending(), Alert("virus stopped", name, identifier)))
    parsed = message_from_bytes(mail, policy=policy.default)
    assert envelope.sender == ""
    assert envelope.recipients == ("virusalerts@widget.example",)
    assert parsed["To"] == "virusalerts@widget.example"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed.defects == []
    assert mail.isascii()
    assert all(len(line) < 998 for line in mail.split(b"\r\n"))
    assert mail.count(b"\n") == mail.count(b"\r\n") == composed(offered(1))[1].count(b"\n")


def test_the_same_alert_counts_on_and_another_name_is_a_line_of_its_own() -> None:
    pending = alert.offer(offered(3), Alert("virus stopped", "Other"))
    assert [(line.alert.name, line.count) for line in pending.lines] == [("Eicar", 3), ("Other", 1)]


def test_with_nothing_to_tell_nothing_is_due_and_a_clock_put_back_does_not_silence() -> None:
    assert not alert.is_due(Pending(), 1e9, 900)
    assert alert.is_due(offered(1), 1000, 900)
    told = alert.offer(alert.told(offered(1), 1e9), Alert("x"))
    assert not alert.is_due(told, 1e9 + 899, 900)
    assert alert.is_due(told, 5.0, 900)


def test_an_alert_that_nobody_looks_at_goes_to_the_second_contact_once() -> None:
    pending = alert.told(offered(1), 1000)
    assert not alert.should_escalate(pending, 1000 + 86_399, 86_400)
    assert alert.should_escalate(pending, 1000 + 86_400, 86_400)
    pending = alert.told(alert.offer(alert.escalated(pending), Alert("x")), 90_000)
    assert not alert.should_escalate(pending, 10**6, 86_400)
    pending = alert.told(alert.seen(pending), 10**6)
    assert alert.should_escalate(pending, 10**6 + 86_400, 86_400)
    assert not alert.should_escalate(alert.seen(pending), 10**7, 86_400)


def test_a_webhook_gets_the_same_numbers() -> None:
    assert b'"count":3' in alert.webhook(offered(3), "Company Widget", 1.0)
