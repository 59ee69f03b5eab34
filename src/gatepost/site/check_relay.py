"""Comparing the relay's parts with each other: the row of milters, and what belongs together.

What it does: finds an order of milters in which one spoils what another did: modify, then sign; verify, then modify.
Not its job: what the MTAs make of it (`gatepost.relay`), other sections (`check`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from gatepost.site.base import parse_socket
from gatepost.site.lines import Path
from gatepost.site.model import Site
from gatepost.site.relay import ForeignMilter

ROW: Path = ("relay", "milters")


def check_relay(site: Site) -> Iterator[tuple[Path, str, str]]:
    """Everything that is wrong: where (key path), what, remedy."""
    milters = site.relay.milters
    for number, milter in enumerate(milters):
        yield from _side((*ROW, number, "place"), milter)
    for (_, first), (number, second) in combinations(enumerate(milters), 2):
        if first.place == second.place:
            yield from _order((*ROW, number), first, second)
        if first.name == second.name:
            yield (*ROW, number, "name"), f"another milter is called {second.name}", "give each a name of its own"
    yield from _sockets(site)
    if (site.relay.tls.certificate is None) != (site.relay.tls.key is None):
        yield ("relay", "tls"), "certificate and key belong together", "give both, or neither"


def _side(path: Path, milter: ForeignMilter) -> Iterator[tuple[Path, str, str]]:
    if milter.does() == "sign" and milter.place == "before":
        yield (
            path,
            f"{milter.name} would sign mail that Gatepost may change afterwards: its signatures would not hold",
            'write place = "after"',
        )
    if milter.does() == "verify" and milter.place == "after":
        yield path, f"{milter.name} would verify mail that Gatepost may have changed: good signatures would fail", 'write place = "before"'


def _order(path: Path, first: ForeignMilter, second: ForeignMilter) -> Iterator[tuple[Path, str, str]]:
    if first.does() == "sign" and second.does() != "sign":
        yield (
            path,
            f"{second.name} comes after {first.name}, which has signed the mail: a change breaks the signature",
            "move the signer last",
        )
    if first.does() == "filter" and second.does() == "verify":
        yield path, f"{second.name} verifies after {first.name}, which may have changed the mail", "move the verifier first"


def _sockets(site: Site) -> Iterator[tuple[Path, str, str]]:
    seen = {parse_socket(site.mail.milter.listen): "gatepost"} if site.mail.milter.listen else {}
    rows: list[tuple[Path, str, str]] = [((*ROW, number, "socket"), one.name, one.socket) for number, one in enumerate(site.relay.milters)]
    if site.relay.dkim.selector is not None:
        rows.append((("relay", "dkim", "socket"), "OpenDKIM", site.relay.dkim.socket))
    for path, name, socket in rows:
        if (owner := seen.setdefault(parse_socket(socket), name)) != name:
            yield (
                path,
                f"{socket} is the socket of {owner}: the same milter would be asked twice",
                "keep one of them, or correct the socket",
            )
