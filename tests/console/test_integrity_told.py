"""The integrity screen tells what checks and live watch wrote down: alarms stand out, and a file's name is only text."""

from __future__ import annotations

from tests.support.console import NOW, SCRIPT, House

from gatepost.journal.event import Event


def _page(home: House, *events: tuple[str, str, dict[str, object]]) -> str:
    home.journal.append([Event(NOW - 100 + n, kind, subject, data) for n, (kind, subject, data) in enumerate(events)], sync=True)
    return home.person().get("/integrity").text


def test_reports_changes_and_alarms_are_listed_with_the_newest_first(home: House) -> None:
    page = _page(
        home,
        ("integrity.report", "relay", {"status": "well", "sequence": 7, "findings": 0, "explained": 12, "canary": "alive"}),
        ("integrity.change", "/usr/bin/tool", {"what": "written", "program": "/usr/bin/vi", "pid": 42, "user": 0}),
        ("integrity.missing", "files", {"text": "nothing has come from gatepost integrity check for 30 hours"}),
    )

    places = [page.index(words) for words in ("for 30 hours", "written by /usr/bin/vi, process 42, user 0", "report 7 of relay: well")]
    assert places == sorted(places)
    assert page.count('<span class="state rejected">alarm</span>') == 1


def test_signs_of_life_and_single_findings_are_not_listed(home: House) -> None:
    page = _page(home, ("integrity.watch.alive", "watch", {}), ("integrity.finding", "/etc/shadow", {"severity": 100}))

    assert "/etc/shadow" not in page
    assert "What checks and live watch told" not in page


def test_a_name_from_the_file_system_is_only_text(home: House) -> None:
    assert SCRIPT not in _page(home, ("integrity.change", f"/tmp/{SCRIPT}", {"what": "made"}))
