"""Who tried what: counted by the minute, kept in the journal, asked for again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.firewall.attempts import (
    KIND,
    MANY,
    MOST,
    SCAN,
    Minute,
    attempts,
    chosen,
    dropped,
    probe_id,
    refused,
    scanners,
    together,
    totals,
)
from gatepost.firewall.logged import Entry
from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal

ZONES = {"eth0": "internet", "eth2": "internal"}
TRIED = Entry("refused", "internet", "eth0", "eth2", "198.51.100.7", "192.168.3.45", "tcp", 445, 40001)
FTP = Entry("ftp access", "", "eth2", "eth0", "192.168.3.10", "203.0.113.200", "tcp", 21, 40002)


def minute(*entries: Entry, at: float = 600.0) -> Minute:
    made = Minute(at, ZONES)
    for entry in entries:
        made.add(entry)
    return made


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    made = SqliteJournal(tmp_path / "journal.sqlite")
    blocked = replace(FTP, kind="refused", zone="internal", port=6667)
    for at, counts, entries in (
        (600.0, {"refused:internet": 90}, [TRIED, TRIED, FTP, blocked]),
        (660.0, {"refused:internet": 10}, [replace(TRIED, port=23)]),
    ):
        events = minute(*entries, at=at).events(counts)
        made.append([Event(at + 60, kind, subject, data) for kind, subject, data in events], sync=False)
    return made


def test_who_tried_what_is_read_back_as_it_was_counted(journal: SqliteJournal) -> None:
    found = list(attempts(journal))

    assert [(one.source, one.zone, one.service, one.count) for one in found] == [
        ("198.51.100.7", "internet", "smb (tcp/445)", 2),
        ("192.168.3.10", "internal", "ftp (tcp/21)", 1),
        ("192.168.3.10", "internal", "tcp/6667", 1),
        ("198.51.100.7", "internet", "telnet (tcp/23)", 1),
    ]
    assert dropped(journal) == {"refused:internet": 100}


def test_time_bounds_what_is_found(journal: SqliteJournal) -> None:
    assert [one.service for one in attempts(journal, since=660)] == ["telnet (tcp/23)"]
    assert len(list(attempts(journal, until=660))) == 3
    assert dropped(journal, since=660) == {"refused:internet": 10}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"service": "smb"}, 1),
        ({"service": "tcp/445"}, 1),
        ({"kind": "ftp access"}, 1),
        ({"event": "refused"}, 3),
        ({"zone": "internal"}, 2),
    ],
)
def test_who_used_ftp_and_who_tried_blocked_services(journal: SqliteJournal, wanted: dict[str, str], count: int) -> None:
    assert len(list(chosen(attempts(journal), **wanted))) == count


def test_the_same_host_in_the_same_minute_is_found(journal: SqliteJournal) -> None:
    (one,) = together(attempts(journal))

    assert (one.source, one.kinds) == ("192.168.3.10", ("ftp access", "refused"))
    assert [row.service for row in one.attempts] == ["ftp (tcp/21)", "tcp/6667"]


def test_totals_add_packets_by_what_is_asked(journal: SqliteJournal) -> None:
    assert totals(attempts(journal), "zone", "event") == [
        (("internet", "refused"), 3),
        (("internal", "access"), 1),
        (("internal", "refused"), 1),
    ]


def test_every_probe_is_found_by_its_id(journal: SqliteJournal) -> None:
    found = {one.probe for one in attempts(journal)}

    assert probe_id("198.51.100.7", 40001, "192.168.3.45", "tcp/445") in found
    assert probe_id("198.51.100.7", 40001, "192.168.3.45", "tcp/80") not in found


def test_a_flood_from_everywhere_is_a_bounded_event_and_every_packet_is_counted() -> None:
    flood = minute(*(replace(TRIED, source=f"2001:db8::{number:x}", port=number % 60000) for number in range(100_000)))
    (kind, _, data), *others = flood.events({"refused:internet": 100_000})

    assert (kind, others) == (KIND, [])
    assert len(data["rows"]) <= MOST + 1
    assert sum(one.count for one in flood.attempts()) == 100_000
    assert len(json.dumps(data)) < 150_000


def test_who_tries_many_things_is_a_scanner(tmp_path: Path) -> None:
    scan = minute(*(replace(TRIED, port=port) for port in range(1, MANY + 1)))
    few = minute(*(replace(TRIED, port=port) for port in range(1, MANY)))
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.append([Event(660, *rest) for rest in scan.events({})], sync=False)

    assert [kind for kind, _, _ in few.events({})] == [KIND]
    (event,) = scanners(journal)
    assert (event.kind, event.subject, event.data["services"], event.data["targets"]) == (SCAN, "198.51.100.7", MANY, 1)


def test_a_logged_flow_is_no_scan() -> None:
    assert [kind for kind, _, _ in minute(*(replace(FTP, sport=n, target=f"10.0.0.{n}") for n in range(99))).events({})] == [KIND]


def test_a_minute_without_anything_is_no_event() -> None:
    assert list(minute().events({})) == []


def test_what_the_rules_refused_is_in_their_counters(widget_listing: str) -> None:
    counted = json.loads(widget_listing.replace('"packets": 0', '"packets": 7'))["nftables"]

    assert refused(counted)["refused:internet"] == 7
    assert refused(counted)["spoofed"] == 7
    assert not any(name.startswith("mail") for name in refused(counted))
