"""The mail that tells a recipient what is held for them, with a one-time link for each mail that they may release themselves.

What it does: gathers what was held lately by recipient, and writes one plain text mail for each of our own.
Not its job: sending. A link shows what it would do; only the button on its page does it, so mail scanners that follow links release nothing.
Raises: `JournalError`; `DeskError` from `Rounds.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gatepost.console.database import Database
from gatepost.console.own import own_decisions
from gatepost.console.sessions import Link, Sessions
from gatepost.console.visit import Console
from gatepost.journal.interface import Journal, Query, Row
from gatepost.journal.states import State
from gatepost.mail.act.alert import clean, compose_text
from gatepost.mail.decide.direction import domain_of
from gatepost.mail.model import Envelope
from gatepost.report.story import KINDS, moment
from gatepost.site.model import Site

LINK_SECONDS = 7 * 86_400.0
MOST = 50
"""Mails named in one digest."""
_EVERYTHING = 1_000_000


def digests(
    site: Site, journal: Journal, sessions: Sessions, address: str, now: float, since: Mapping[str, float]
) -> list[tuple[Envelope, bytes]]:
    """A mail for each of our recipients for whom something was held; `since` has the kinds of finding to tell of, each with its time.

    `address` is the console's, times are seconds since the epoch.
    """
    query = Query(states=(State.QUARANTINED,), kept=True, since=min(since.values(), default=now), limit=_EVERYTHING)
    held: dict[str, list[Row]] = {}
    for row in journal.search(query):
        if row.at >= since.get(row.verdict, now) and domain_of(row.recipient) in site.mail.domains:
            held.setdefault(row.recipient, []).append(row)
    own = own_decisions(site)

    def link(row: Row) -> str:
        return f"{address}/link/{sessions.make_link(Link('release', row.id, row.recipient), LINK_SECONDS)}" if row.verdict in own else ""

    return [_mail(site, recipient, rows, link, now) for recipient, rows in sorted(held.items())]


def due(told: Mapping[str, float], intervals: Mapping[str, float], now: float) -> dict[str, float]:
    """The kinds of finding of which people are to be told now, each with the time up to which they were `told` before.

    A kind of which nobody was told yet begins with what is held from one interval ago.
    """
    before = {kind: told.get(kind, now - interval) for kind, interval in intervals.items()}
    return {kind: at for kind, at in before.items() if now - at >= intervals[kind]}


class Rounds:
    """Tells recipients as often as the site says, by the kind of finding; remembers when, so that a restart tells nothing twice."""

    def __init__(self, console: Console, database: Database, address: str) -> None:
        self._console = console
        self._database = database
        self._address = address

    def go(self) -> int:
        """Tell whoever is to be told now; gives how many. Raises DeskError, JournalError; who was not told then is told in the next round."""
        site, now = self._console.site, self._console.now()
        told = {row["class"]: row["at"] for row in self._database.rows("SELECT class, at FROM digests")}
        since = due(told, {str(kind): interval for kind, interval in site.console.digest.items()}, now)
        if not since:
            return 0
        mails = digests(site, self._console.journal, self._console.sessions, self._address, now, since)
        for envelope, content in mails:
            self._console.desk.post(envelope.recipients[0], content)
        for kind in since:
            self._database.run("INSERT OR REPLACE INTO digests VALUES (?, ?)", kind, now)
        return len(mails)


def _mail(site: Site, recipient: str, rows: Sequence[Row], link: Callable[[Row], str], now: float) -> tuple[Envelope, bytes]:
    lines = [f"These mails are held for {clean(recipient)}:", ""]
    for row in rows[:MOST]:
        lines += _entry(site, row, link(row))
    if len(rows) > MOST:
        lines += [f"And {len(rows) - MOST} more; the administrator can name them.", ""]
    subject = f"{len(rows)} mail{'s' if len(rows) != 1 else ''} held for you"
    return compose_text(subject, lines, site.postmaster, (recipient,), now)


def _entry(site: Site, row: Row, link: str) -> list[str]:
    told = [
        moment(row.at),
        f"  From:    {clean(row.sender) or '<>'}",
        f"  Subject: {clean(row.subject)}",
        f"  Because: {KINDS[row.verdict]}",
    ]
    asks = f"You want it? {link}" if link else f"If you need it, ask {site.postmaster} and name the number {row.id}."
    return [*told, f"  {asks}", ""]
