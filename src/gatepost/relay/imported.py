"""Old mail configurations read: what of them belongs into the site file, what is dangerous, and each thing that was not understood.

What it does: finds by name and content what kind of file it is, and reads main.cf, sendmail.mc, relay-domains, access, aliases, hosts and
the basics of amavisd.conf. Nothing is dropped in silence: a line gives a proposal, a remark, or the remark that it was not understood.
Not its job: reading from disk, printing; the readers of single kinds (`imported_postfix`, `imported_sendmail`, `imported_tables`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from gatepost.relay.imported_postfix import read_main
from gatepost.relay.imported_sendmail import read_mc
from gatepost.relay.imported_tables import read_access, read_aliases_file, read_amavisd, read_hosts, read_relay_domains
from gatepost.relay.proposal import Reading
from gatepost.site.problem import Problem

READERS: dict[str, Callable[[str, str], Reading]] = {
    "main.cf": read_main,
    "sendmail.mc": read_mc,
    "relay-domains": read_relay_domains,
    "access": read_access,
    "aliases": read_aliases_file,
    "hosts": read_hosts,
    "amavisd.conf": read_amavisd,
}


def kind_of(name: str, text: str) -> str:
    """Which kind of file this is: by its name, else by what it says; "" when neither tells."""
    plain = PurePath(name).name
    if plain in READERS:
        return plain
    if plain.endswith(".mc") or "INPUT_MAIL_FILTER" in text:
        return "sendmail.mc"
    if plain.endswith(".cf") and "=" in text:
        return "main.cf"
    return "amavisd.conf" if "amavis" in plain else ""


def read(name: str, text: str) -> Reading:
    """What a file says."""
    kind = kind_of(name, text)
    if not kind:
        return Reading((), (Problem(name, 1, "", "this kind of file is not known", f"name it as one of {', '.join(READERS)}"),))
    return READERS[kind](name, text)
