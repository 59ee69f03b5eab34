"""What keeps mail waiting is said once, not once a mail."""

import logging

import pytest

from gatepost.mail.model import Finding, Kind
from gatepost.services.complaints import INTERVAL, Complaints

DOWN = Finding(Kind.UNCHECKED, "engine-failed", source="clamav", detail="nobody listens")
SLOW = Finding(Kind.UNCHECKED, "engine-timeout", source="icap", detail="no answer")


def test_each_cause_is_told_at_once_and_then_once_a_minute_with_the_number_of_mails(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    complaints = Complaints(lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            complaints.waits("1A", DOWN)
        complaints.waits("1B", SLOW)
        now[0] += INTERVAL
        complaints.waits("1C", DOWN)

    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "mail 1A waits: engine-failed of clamav: nobody listens",
        "mail 1B waits: engine-timeout of icap: no answer",
        "mail 1C waits: engine-failed of clamav: nobody listens; 49 more waited since the last line",
    ]
