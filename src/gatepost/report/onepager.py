"""The one page for management: what the month's numbers mean, in words without jargon.

What it does: makes a document of figures: one sentence and a light, what was promised and kept, then boxes of lines, then the limits.
Not its job: counting (`figures`), layout (`render`).
Raises: nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gatepost.assess.risks import Risk
from gatepost.firewall.words import listing
from gatepost.report.figures import Broken, Figures
from gatepost.report.perimeter import Perimeter
from gatepost.report.story import moment, printable
from gatepost.site.report import Report

MOST_LINES, MOST_BROKEN = 5, 3
"""Viruses and senders, and broken promises named; so the page is one page for ten mails and for a million."""
MOST_TRIED, MOST_RISKS = 3, 2
LONGEST, LONG = 32, 60
FRESH_DAYS = 2
MEGABYTE = 1_000_000

PLAIN = {
    "smb": "file shares",
    "nfs": "file shares",
    "telnet": "remote login",
    "ssh": "remote login",
    "rdp": "remote screens",
    "http": "web servers",
    "https": "web servers",
    "smtp": "mail past the relay",
    "dns": "name servers",
    "mysql": "databases",
    "postgresql": "databases",
    "sip": "telephones",
}
"""Services by what they are for."""

LIMITS = (
    "Only mail that comes through this gateway is covered: not web pages, private mailboxes in the browser, memory sticks or telephones.",
    "A virus that no scanner knows yet can pass. Programs and hidden content are held for that reason, whether known or not.",
    "These numbers are what the gateway wrote down when it happened; each can be recounted from its journal.",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A number with its name. `link` is the console's list behind it, "" when there is none."""

    name: str
    value: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A heading with lines, and a sentence below them."""

    title: str
    lines: tuple[Line, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised, and when it was broken (nothing: it was kept)."""

    text: str
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """The whole page. `span` restricts the console's lists to the month, `trend` is caught viruses by month, oldest first."""

    company: str
    period: str
    span: str
    well: bool
    headline: str
    promises: tuple[Promise, ...]
    boxes: tuple[Box, ...]
    trend: tuple[tuple[str, int], ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds today, besides the month's numbers: zones of other people, and the open risks, the gravest first (None: nobody asked)."""

    outside: frozenset[str] = frozenset({"internet"})
    risks: tuple[Risk, ...] | None = None
    today: dt.date = dt.date.min


def one_pager(figures: Figures, company: str, assumptions: Report, standing: Standing | None = None) -> Document:
    """The page of one month."""
    standing = standing or Standing()
    promises = _promises(figures)
    well = not any(promise.broken for promise in promises)
    return Document(
        company=company,
        period=figures.period.name,
        span=f"since={_day(figures.period.since)}&until={_day(figures.period.until - 1)}",
        well=well,
        headline=_headline(figures, well=well),
        promises=promises,
        boxes=tuple(box for box in (*_boxes(figures, assumptions), *_around(figures.perimeter, standing)) if box.lines),
        trend=figures.trend,
        limits=_limits(figures.perimeter),
    )


def _limits(found: Perimeter) -> tuple[str, ...]:
    """What the page never covers, and what nobody watched this month."""
    watched = {
        "the firewall's refusals": found.firewall.watched,
        "the servers' files": bool(found.files.checks),
        "the test virus": bool(found.canaries),
    }
    unseen = [name for name, seen in watched.items() if not seen]
    return (*LIMITS, f"Not watched this month, so nothing is claimed of it: {listing(unseen)}.") if unseen else LIMITS


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")


def _headline(figures: Figures, *, well: bool) -> str:
    viruses = figures.infected_in + figures.infected_out
    if not figures.tally.mails:
        return "No mail came through the gateway this month."
    stopped = f"{viruses:,} infected mails were stopped" if viruses != 1 else "1 infected mail was stopped"
    if well:
        return f"This month {stopped}, and no mail was delivered unscanned."
    return f"This month {stopped}, but not every promise was kept; the box below says which and when."


def _promises(figures: Figures) -> tuple[Promise, ...]:
    """What was promised; of what nobody watched, nothing is."""
    found = figures.perimeter
    promises = [
        Promise("No mail was delivered without having been looked at.", _told(figures.delivered_unchecked)),
        Promise("No mail was delivered in which a virus had been found.", _told(figures.delivered_infected)),
    ]
    if found.canaries:
        promises.append(Promise(f"Our own test virus was stopped each of the {found.canaries:,} times.", _times(found.silent)))
    if found.firewall.watched:
        promises.append(Promise("The firewall passed only what its policy lists.", _times(found.firewall.drifted)))
    if found.files.checks:
        promises.append(Promise("Every check of the servers' files was genuine and complete.", _times(found.files.broken)))
    return tuple(promises)


def _told(broken: Sequence[Broken]) -> tuple[str, ...]:
    return _first([f"{moment(one.at)}, mail {_cut(one.message_id)}" for one in broken])


def _times(broken: Sequence[float]) -> tuple[str, ...]:
    return _first([moment(at) for at in broken])


def _first(told: Sequence[str]) -> tuple[str, ...]:
    return (*told[:MOST_BROKEN], f"and {len(told) - MOST_BROKEN:,} more") if len(told) > MOST_BROKEN else tuple(told)


def _boxes(figures: Figures, assumptions: Report) -> tuple[Box, ...]:
    caught = Box(
        "Viruses caught",
        (
            Line("on their way in", f"{figures.infected_in:,}", "/messages?verdict=virus&direction=inbound"),
            Line("on their way out", f"{figures.infected_out:,}", "/messages?verdict=virus&direction=outbound"),
        ),
        "" if not figures.infected_out else "An infected mail on its way out would have reached a customer or supplier under our name.",
    )
    by_name = Box("By name", _most(figures.tally.viruses, "/messages?finding="))
    partners = Box("Who sent them to us", _most(_of(figures.tally.partners, "inbound"), "/messages?verdict=virus&sender=@"))
    return (caught, by_name, partners, _saved(figures, assumptions), _volume(figures), _machinery(figures))


def _of(counts: Counter[tuple[str, str]], direction: str) -> Counter[tuple[str, str]]:
    return Counter({key: count for key, count in counts.items() if key[0] == direction})


def _most(counts: Counter[tuple[str, str]], link: str) -> tuple[Line, ...]:
    """The names with most mails, both directions together."""
    names: Counter[str] = Counter()
    for (_direction, name), count in counts.items():
        names[name] += count
    ordered = sorted(names.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = tuple(Line(_cut(name) or "nobody named", f"{count:,}", link + name) for name, count in ordered[:MOST_LINES])
    others = sum(count for _name, count in ordered[MOST_LINES:])
    return (*lines, Line("others", f"{others:,}")) if others else lines


def _cut(name: str, most: int = LONGEST) -> str:
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "\u2026"


def _saved(figures: Figures, assumptions: Report) -> Box:
    hours = figures.infected_in * assumptions.clean_up_hours
    if not assumptions.clean_up_hours:
        return Box("Time saved", ())
    lines = [Line("working time saved", f"{hours:,.0f} h")]
    assumed = f"Assumed: each infected mail that had come in would have cost {assumptions.clean_up_hours:g} h of work"
    if assumptions.hour_costs:
        lines.append(Line("money saved", f"{hours * assumptions.hour_costs:,.0f} {assumptions.currency}"))
        assumed += f", an hour costs {assumptions.hour_costs:g} {assumptions.currency}"
    return Box("Time and money" if assumptions.hour_costs else "Time saved", tuple(lines), assumed + ".")


def _volume(figures: Figures) -> Box:
    tally = figures.tally
    mean = tally.seconds / tally.mails if tally.mails else 0.0
    return Box(
        "Mail",
        (
            Line("mails", f"{tally.mails:,}", "/messages?"),
            Line("megabytes", f"{tally.bytes / MEGABYTE:,.0f}"),
            Line("held for a decision", f"{figures.held:,}", "/quarantine?all=1"),
            Line("of them unwanted advertising", f"{figures.held_spam:,}", "/quarantine?all=1&verdict=spam"),
            Line("held wrongly, released by people", f"{figures.released:,}", "/messages?state=released"),
            Line("time for looking at a mail, mean", f"{mean:.2f} s"),
            Line("the longest", f"{tally.slowest:.1f} s"),
        ),
    )


def _machinery(figures: Figures) -> Box:
    age = figures.oldest_signatures
    said = "unknown" if age is None else f"{age} day{'s' if age != 1 else ''}"
    blind = sum(figures.blind.values())
    lines = [Line("oldest virus knowledge in use", said), Line("minutes in which a scanner did not answer", f"{blind:,}")]
    worst = max(figures.blind, key=lambda name: figures.blind[name], default="")
    note = (
        f"Most often silent: {_cut(worst)}. Mail waited meanwhile; none passed unseen." if worst and not figures.delivered_unchecked else ""
    )
    if age is not None and age > FRESH_DAYS:
        note = f"Virus knowledge should never be older than {FRESH_DAYS} days. {note}".strip()
    return Box("The scanners themselves", tuple(lines), note)


def _around(found: Perimeter, standing: Standing) -> tuple[Box, ...]:
    return (_firewall(found, standing.outside), _files(found), _outages(found), _risks(standing))


def _firewall(found: Perimeter, outside: frozenset[str]) -> Box:
    wall = found.firewall
    if not wall.watched and wall.verified is None:
        return Box("Firewall", ())
    services: Counter[str] = Counter()
    for (_zone, service), count in wall.tried.items():
        services[service] += count
    inside = sum(zone not in outside and zone != "firewall" for zone, _source in wall.sources)
    tried = list(dict.fromkeys(_plain(name) for name, _count in services.most_common() if name))[:MOST_TRIED]
    lines = [
        Line("attempts refused", f"{wall.refused:,}", "/firewall?"),
        Line("searches for holes", f"{wall.scans:,}", "/firewall?"),
        Line("own machines that tried what is not allowed", f"{inside:,}", "/firewall?"),
    ]
    if wall.verified:
        at, well = wall.verified
        lines.append(Line("last tried from outside", f"{_day(at)}, {'as declared' if well else 'NOT AS DECLARED'}", "/firewall?"))
    return Box("Firewall", tuple(lines), f"Most tried: {listing(tried)}." if tried else "")


def _plain(service: str) -> str:
    """What a service is, for people who never heard its name."""
    name = service.partition(" (")[0]
    return PLAIN.get(name, _cut(name))


def _files(found: Perimeter) -> Box:
    files = found.files
    if not files.checks:
        return Box("The servers' files", ())
    lines = (
        Line("changes that nobody announced", f"{files.changes:,}", "/integrity?"),
        Line("checks that proved to be alive", f"{files.alive:,} of {files.checks:,}", "/integrity?"),
    )
    return Box("The servers' files", lines)


def _outages(found: Perimeter) -> Box:
    """Minutes down; nothing where nothing was watched."""
    down = sorted(found.outages.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = tuple(Line(f"{_cut(name)} down", f"{minutes:,.0f} min") for name, minutes in down[:MOST_TRIED])
    return Box("Outages", lines)


def _risks(standing: Standing) -> Box:
    if standing.risks is None:
        return Box("Open risks", ())
    late = sum(risk.overdue(standing.today) for risk in standing.risks)
    grave = sum(risk.weight == "grave" for risk in standing.risks)
    lines = (Line("open, of them grave", f"{len(standing.risks):,}, {grave:,}", "/risks?"), Line("overdue", f"{late:,}", "/risks?"))
    first = [f"{_cut(risk.known.title, LONG)} ({_cut(risk.owner)}, {risk.due})" for risk in standing.risks[:MOST_RISKS]]
    return Box("Open risks", lines, f"First: {'; '.join(first)}." if first else "")
