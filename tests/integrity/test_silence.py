"""A report that does not come is an alarm, told once a term; who never asked for one is left in peace."""

from __future__ import annotations

from gatepost.integrity.silence import DEAD, MISSING, Heard, silences
from gatepost.site.integrity import Integrity

HOUR = 3600.0
DECLARED = Integrity(role="relay", overdue_hours=26)


def _told(section: Integrity, heard: Heard, hours: float) -> dict[str, int]:
    return {one.kind: one.terms for one in silences(section, heard, hours * HOUR)}


def test_a_report_that_came_in_time_is_no_alarm() -> None:
    assert _told(DECLARED, Heard(0, 0, None), 25.9) == {}


def test_a_report_that_is_late_is_an_alarm_and_another_each_term() -> None:
    assert [_told(DECLARED, Heard(0, 0, None), hours) for hours in (26, 51, 52)] == [{MISSING: 1}, {MISSING: 1}, {MISSING: 2}]


def test_a_site_that_declares_integrity_and_never_had_a_report_is_told() -> None:
    (one,) = silences(DECLARED, Heard(0, None, None), 30 * HOUR)

    assert one.text == "nothing has come from gatepost integrity check for 30 hours, and there never was one; look whether it runs"


def test_a_site_that_says_nothing_of_integrity_waits_for_nothing_until_a_first_report_came() -> None:
    assert _told(Integrity(), Heard(0, None, None), 1000) == {}
    assert _told(Integrity(), Heard(0, 0, None), 30) == {MISSING: 1}


def test_a_live_watch_without_a_sign_of_life_is_dead() -> None:
    live = Integrity(live=True)

    assert _told(live, Heard(0, 9 * HOUR, 9 * HOUR), 10.5) == {}
    assert _told(live, Heard(0, 9 * HOUR, 8 * HOUR), 10.5) == {DEAD: 1}
    assert _told(live, Heard(0, 9 * HOUR, None), 10.5) == {DEAD: 5}
