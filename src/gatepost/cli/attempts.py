"""`gatepost firewall attempts`: who tried what at the firewall, from the journal.

Not its job: counting (`gatepost.firewall.attempts`), keeping (`gatepost firewall watch`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gatepost.cli.common import JsonOption, SiteOption, journal_of, site_of
from gatepost.cli.log import since_when
from gatepost.firewall.attempts import Attempt, Together, attempts, chosen, dropped, scanners, together, totals
from gatepost.firewall.words import listing
from gatepost.journal.event import Event
from gatepost.report.story import moment

SHOWN = 40
"""Lines of a list for people; --json has all."""
_EVENTS = {
    "refused": "refused",
    "attack": "attacks (malformed packets, forged sources)",
    "flood": "floods (over a limit)",
    "scan": "shut out as scanners",
    "access": "let through and logged",
}


def attempts_command(
    site: SiteOption = Path("site.toml"),
    since: Annotated[str, typer.Option(metavar="TIME", help="So long ago, like 2h or 3d.")] = "1d",
    event: Annotated[str, typer.Option(help="refused, attack, flood, scan or access.")] = "",
    kind: Annotated[str, typer.Option(metavar="PREFIX", help='The log prefix of a flow, like "ftp access", or why it was refused.')] = "",
    zone: Annotated[str, typer.Option(help="Only from this zone.")] = "",
    source: Annotated[str, typer.Option(metavar="ADDRESS", help="Only from this address.")] = "",
    service: Annotated[str, typer.Option(help="Only this service: smb, or tcp/445.")] = "",
    same_minute: Annotated[bool, typer.Option("--together", help="Who did different things within the same minute.")] = False,
    probe: Annotated[str, typer.Option(metavar="ID", help="One probe: 198.51.100.7:40001>203.0.113.1:tcp/23.")] = "",
    json_output: JsonOption = False,
) -> None:
    """Say who tried what: refused, forged, flooding, scanning, or let through by a flow that is logged.

    gatepost firewall watch keeps it in the journal. Counts are at least so many, as the rules log at a bounded rate; the sum of what was
    really refused comes from their counters.

    Exit status: 0 something was found, 1 nothing.

    Examples:

        gatepost firewall attempts --service ftp --since 7d

        gatepost firewall attempts --zone internal --together
    """
    begin = since_when(since)
    journal = journal_of(site_of(site))
    rows = list(chosen(attempts(journal, begin), event=event, kind=kind, zone=zone, source=source, service=service))
    if probe:
        rows = [row for row in rows if row.probe == probe]
    pairs = list(together(rows)) if same_minute else []
    if json_output:
        data = {"attempts": [asdict(row) for row in rows], "together": [asdict(one) for one in pairs], "dropped": dropped(journal, begin)}
        sys.stdout.write(json.dumps(data) + "\n")
    elif same_minute:
        sys.stdout.write("\n".join(_pairs(pairs)) + "\n")
    else:
        sys.stdout.write("\n".join([*_table(rows), *_sums(dropped(journal, begin), scanners(journal, begin))]) + "\n")
    raise typer.Exit(not (pairs if same_minute else rows))


def _table(rows: list[Attempt]) -> Iterator[str]:
    """What was tried, by kind of event: each source with each service, most first."""
    if not rows:
        yield "Nothing of that kind is in the journal."
    for event, words in _EVENTS.items():
        mine = [row for row in rows if row.event == event]
        if not mine:
            continue
        yield f"{words[0].upper()}{words[1:]}:"
        found = totals(mine, "kind", "zone", "source", "service")
        for (kind, zone, source, service), count in found[:SHOWN]:
            last = max(row.at for row in mine if (row.kind, row.zone, row.source, row.service) == (kind, zone, source, service))
            why = "" if kind == event else f"  {kind}"
            yield f"  {count:7} x {source or 'many others':39} {zone:12} {service or 'different things':24} last {moment(last)}{why}"
        if len(found) > SHOWN:
            yield f"  and {len(found) - SHOWN} more; --json shows all"


def _sums(counts: dict[str, int], scans: Iterable[Event]) -> Iterator[str]:
    if counts:
        yield f"Refused in all, logged or not: {listing(f'{packets} {reason}' for reason, packets in sorted(counts.items()))}."
    for event in scans:
        told = f"{event.data['services']} services at {event.data['targets']} addresses"
        yield f"Scan: {event.subject} from {event.data['zone']} tried {told} within a minute, {moment(event.data['minute'])}."


def _pairs(pairs: Iterable[Together]) -> Iterator[str]:
    nothing = True
    for one in pairs:
        nothing = False
        yield f"{moment(one.at)}  {one.source} ({one.zone}): {listing(one.kinds)} in the same minute"
        yield from (f"    {row.count} x {row.kind}: {row.service} at {row.target}" for row in one.attempts)
    if nothing:
        yield "Nobody did different things within one minute."
