"""What the firewall was good for: what it refused, by zone, service and source, and what the old rules would have let through.

Not its job: counting (`perimeter`), comparing rule sets (`firewall.compare`).
Raises: nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from gatepost.report.figures import Period
from gatepost.report.paper import Block, Heading, Paper, Points, Table, Text
from gatepost.report.perimeter import Firewall
from gatepost.report.policy import Before, changes_blocks
from gatepost.report.story import moment

MOST = 15
"""Services and sources listed; the rest is added up."""


def value_paper(
    company: str,
    period: Period,
    found: Firewall,
    outside: Collection[str],
    names: Mapping[str, str],
    before: Before | None = None,
) -> Paper:
    """The page of one month. `names` gives hosts of the site by address."""
    blocks = (
        *_headline(found),
        *_services(found),
        *_sources("Machines of our own that were refused", found, names, lambda zone: zone not in outside and zone != "firewall"),
        *_sources("Strangers who tried most", found, names, lambda zone: zone in outside),
        *_old(before),
    )
    return Paper(company, "What the firewall refused", period.name, blocks)


def _headline(found: Firewall) -> Iterator[Block]:
    if not found.watched:
        yield Text("Nobody wrote down what the firewall refused this month: gatepost firewall watch was not running.", "ill")
        return
    yield Text(f"{found.refused:,} attempts were refused this month; {found.scans:,} times somebody searched for holes.", "well")
    if found.drifted:
        yield Text(f"The loaded rules were not the declared ones from {moment(found.drifted[0])}.", "ill")
    if found.verified:
        at, well = found.verified
        yield Text(
            f"Tried from outside on {moment(at)}: {'everything as declared.' if well else 'NOT as declared.'}", "" if well else "ill"
        )
    yield Text("Numbers by service and source come from the log, which writes at a bounded rate: they are lower bounds.", "note")


def _services(found: Firewall) -> Iterator[Block]:
    if not found.tried:
        return
    yield Heading("What was tried, from where")
    rows = [(zone, service or "others", f"{count:,}") for (zone, service), count in found.tried.most_common(MOST)]
    rest = found.tried.total() - sum(count for _key, count in found.tried.most_common(MOST))
    yield Table(("from", "service", "refused"), (*rows, *([("", "others", f"{rest:,}")] if rest else [])))


def _sources(title: str, found: Firewall, names: Mapping[str, str], wanted: Callable[[str], bool]) -> Iterator[Block]:
    chosen = Counter({key: count for key, count in found.sources.items() if wanted(key[0])})
    yield Heading(title)
    if not chosen:
        yield Text("None.")
        return
    rows = tuple((names.get(source, source or "others"), source, zone, f"{count:,}") for (zone, source), count in chosen.most_common(MOST))
    yield Table(("name", "address", "zone", "refused"), rows)
    if len(chosen) > MOST:
        yield Text(f"and {len(chosen) - MOST:,} more", "note")


def _old(before: Before | None) -> Iterator[Block]:
    if before is None:
        return
    yield Heading(f"What {before.name} passed, and what passes now")
    yield Points((f"The old rules were read from {before.name}; the comparison is of all packets, not only of those that were tried.",))
    yield from changes_blocks(before.changes)
