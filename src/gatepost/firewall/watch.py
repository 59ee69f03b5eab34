"""The watch over a running firewall: whether the rules are still the proved ones, and who tries what.

What it does: looks at the loaded rules again and again (`drift`), reads what they log from the kernel, and makes each minute of it an
event (`attempts`), closes what has expired (`expiry`).
Not its job: writing the journal; whoever starts the watch is handed each event.
Raises: `NftError` when the rules cannot be listed, `ApplyError` when those without an expired permission cannot be proved.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import select
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from gatepost.firewall import nft
from gatepost.firewall.apply import Place, pending
from gatepost.firewall.attempts import MINUTE, Minute, refused
from gatepost.firewall.confirmed import today
from gatepost.firewall.declare import Policy
from gatepost.firewall.drift import Look, look
from gatepost.firewall.expiry import close_expired
from gatepost.firewall.logged import LogError, read_packet
from gatepost.site.problem import SiteError
from gatepost.system.nflog import Nflog

Tell = Callable[[str, str, dict[str, Any]], None]
"""Is handed kind, subject and data of an event."""


class Watch:
    """What is known from one look to the next.

    `read` gives the policy of the site file on a day; `log` is None when somebody else reads the firewall's log.
    """

    def __init__(self, read: Callable[[dt.date], Policy], place: Place, log: Nflog | None, tell: Tell) -> None:
        self._place = place
        self._day = today()
        self._closed: dt.date | None = None
        self._policy = read(self._day)
        self._renewed = read
        self._log = log
        self._tell = tell
        self._zones: Mapping[str, str] = {link: name for name, zone in self._policy.zones.items() for link in zone.interfaces}
        self._minute = self._begin(time.time())
        self._last = ""
        self._dropped: Counter[str] | None = None
        self._since: Counter[str] = Counter()

    def look(self) -> Look:
        """Look at the rules that are loaded now, and at their counters; before that, close what has expired."""
        self._expire(today())
        listing = nft.listing()
        seen = look(self._policy, listing, self._last)
        self._last = seen.fingerprint
        self._count(listing)
        return seen

    def _count(self, listing: str) -> None:
        """Add what was refused since the last look."""
        now = refused(json.loads(listing)["nftables"])
        for reason, packets in now.items():
            before = self._dropped[reason] if self._dropped is not None else packets
            # A reload begins to count anew.
            self._since[reason] += packets - before if packets >= before else packets
        self._dropped = now

    def _expire(self, day: dt.date) -> None:
        """What ends at midnight is closed within one look, and what the site file means is asked anew each day."""
        if day != self._closed and not pending(self._place):
            if ended := close_expired(self._place, day):
                self._tell("firewall.expired", "firewall", {"flows": ended})
            self._closed = day
        if day != self._day:
            self._day, self._last = day, ""
            with contextlib.suppress(SiteError):
                self._policy = self._renewed(day)

    def listen(self, seconds: float) -> None:
        """Read the log for so long, and tell what each minute held when it is over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready = select.select([self._log] if self._log else [], [], [], min(left, 1.0))[0]
            now = time.time()
            if not self._minute.at <= now < self._minute.at + MINUTE:
                self.tell()
                self._minute = self._begin(now)
            if ready and self._log:
                self._read(self._log)

    def _read(self, log: Nflog) -> None:
        for one in log.read():
            with contextlib.suppress(LogError):
                self._minute.add(read_packet(one.prefix, one.incoming, one.outgoing, one.content))

    def end(self) -> None:
        """Count what was refused since the last look, and hand on what there is."""
        with contextlib.suppress(nft.NftError):
            self._count(nft.listing())
        self.tell()

    def tell(self) -> None:
        """Hand on what the present minute has held until now."""
        dropped, self._since = +self._since, Counter()
        for kind, subject, data in self._minute.events(dropped):
            self._tell(kind, subject, data)
        self._minute = self._begin(self._minute.at)

    def _begin(self, now: float) -> Minute:
        return Minute(now // MINUTE * MINUTE, self._zones)
