"""A month at the perimeter of the made-up company: packets that the firewall refused, scans, nightly checks of files, canaries, an outage.

What it does: draws from fixed tables with a seed, so that the same seed gives the same month; the made-up mail is `traffic`.
Not its job: writing; nothing here is ever mixed with a real site's journal.
Raises: nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from gatepost.firewall.attempts import KIND, SCAN
from gatepost.integrity.canary import Song
from gatepost.integrity.notify import FINDING, REPORT
from gatepost.integrity.report import Status
from gatepost.journal.event import Event
from gatepost.report.perimeter import DOWN, SUNG, UP, VERIFIED

PUBLIC, RELAY = "203.0.113.25", "192.168.2.3"
TRIED = (
    ("smb (tcp/445)", 30), ("telnet (tcp/23)", 22), ("ssh (tcp/22)", 18), ("rdp (tcp/3389)", 14), ("http (tcp/80)", 9), ("sip (udp/5060)", 7),
)  # fmt: skip
"""What strangers try, and how often compared with each other."""
BLOCKED = (
    "irc (tcp/6667)", "telnet (tcp/23)", "smb (tcp/445)", "rdp (tcp/3389)", "smtp (tcp/25)", "pop3 (tcp/110)", "imap (tcp/143)", "dns (udp/53)",
    "nfs (tcp/2049)", "mysql (tcp/3306)", "tcp/1080", "tcp/1433", "tcp/5900", "tcp/6881", "tcp/8080", "tcp/8443", "tcp/9050", "tcp/31337",
    "udp/123", "udp/161",
)  # fmt: skip
"""What one curious machine inside tries one evening: twenty services that are closed."""
CURIOUS = "192.168.3.77"
HOSTS = ("firewall", "relay")
CHANGED = "/usr/sbin/sshd"
CANARY = timedelta(hours=1)
SCANS = 6


def perimeter(start: datetime, until: datetime, seed: int = 1) -> list[Event]:
    """All events from `start` (a midnight) to `until`, in the order of time."""
    draw = random.Random(seed)  # noqa: S311 made-up events need no secrets
    days = [start + timedelta(days=number) for number in range((until - start).days + 1)]
    found = [
        *(event for day in days for event in _strangers(draw, day)),
        *_scans(draw, days),
        *_curious(days[len(days) // 2]),
        *(event for number, day in enumerate(days) for event in _files(number, day, changed=number == len(days) // 3)),
        *_canaries(start, until),
        *_outage(days[len(days) // 4]),
        Event((days[len(days) // 5] + timedelta(hours=9)).timestamp(), VERIFIED, "internet", {"well": True}),
    ]
    return sorted((event for event in found if start.timestamp() <= event.at < until.timestamp()), key=lambda event: event.at)


def _minute(at: datetime, rows: list[list[str | int]]) -> Event:
    """The event of a minute, as the firewall writes it when the minute is over."""
    minute = at.replace(second=0, microsecond=0).timestamp()
    dropped = sum(int(row[6]) for row in rows)
    return Event(minute + 60, KIND, "firewall", {"minute": minute, "dropped": {"no rule": dropped}, "rows": rows})


def _strangers(draw: random.Random, day: datetime) -> Iterator[Event]:
    """The noise of the Internet: a few tries every hour."""
    names, weights = zip(*TRIED, strict=True)
    for hour in range(24):
        at = day + timedelta(hours=hour, minutes=draw.randrange(60))
        source = f"198.51.100.{draw.randrange(1, 250)}"
        service = draw.choices(names, weights)[0]
        yield _minute(at, [["refused", "no rule", "internet", source, PUBLIC, service, draw.randrange(1, 9), draw.randrange(1024, 65000)]])


def _scans(draw: random.Random, days: list[datetime]) -> Iterator[Event]:
    """Somebody outside tries a hundred doors within a minute."""
    for day in sorted(draw.sample(days, min(SCANS, len(days)))):
        at, source = day + timedelta(hours=draw.randrange(24)), f"192.0.2.{draw.randrange(1, 250)}"
        rows: list[list[str | int]] = [
            ["refused", "no rule", "internet", source, PUBLIC, f"tcp/{port}", 1, 40000] for port in range(20, 120)
        ]
        event = _minute(at, rows)
        yield event
        told = {"minute": event.data["minute"], "zone": "internet", "packets": 100, "targets": 1, "services": 100}
        yield Event(event.at, SCAN, source, told)


def _curious(day: datetime) -> Iterator[Event]:
    """One machine inside tries what is not allowed, within one minute."""
    rows: list[list[str | int]] = [["refused", "no rule", "internal", CURIOUS, "198.51.100.99", one, 3, 50000] for one in BLOCKED]
    event = _minute(day + timedelta(hours=19), rows)
    yield event
    told = {"minute": event.data["minute"], "zone": "internal", "packets": 3 * len(BLOCKED), "targets": 1, "services": len(BLOCKED)}
    yield Event(event.at, SCAN, CURIOUS, told)


def _files(number: int, day: datetime, *, changed: bool) -> Iterator[Event]:
    """The nightly check of both hosts; one night one file of the relay is not what it was."""
    at = (day + timedelta(hours=3)).timestamp()
    for host in HOSTS:
        findings = int(changed and host == "relay")
        status = Status.FINDINGS if findings else Status.WELL
        data: dict[str, object] = {
            "status": status.value,
            "findings": findings,
            "explained": 4,
            "sequence": number + 1,
            "canary": Song.ALIVE.value,
            "alarms": [],
        }
        yield Event(at, REPORT, host, data)
        if findings:
            yield Event(
                at, FINDING, CHANGED, {"host": host, "sequence": number + 1, "what": "changed", "rule": "Programs", "severity": 100}
            )


def _canaries(start: datetime, until: datetime) -> Iterator[Event]:
    at = start
    while at < until:
        yield Event(at.timestamp(), SUNG, "canary", {"text": "the test virus was stopped, the clean mail was not"})
        at += CANARY


def _outage(day: datetime) -> Iterator[Event]:
    """The provider's router fails for 47 minutes."""
    at = (day + timedelta(hours=11, minutes=4)).timestamp()
    yield Event(at, DOWN, "internet", {"place": "198.51.100.53:53"})
    yield Event(at + 47 * 60, UP, "internet", {"place": "198.51.100.53:53"})
