"""What was confirmed: the rules, and the declaration that they were proved against.

What it does: keeps both, so that a boot does not depend on a site file that somebody is editing, and so that a permission ends on its day
although nobody applies anything.
Not its job: loading rules (`apply`, `expiry`).
Raises: OSError; `SiteError` when the declaration that was kept cannot be read by this Gatepost.

`confirmed.nft` are the rules; `confirmed.json` the text of the site file, and the SHA-256 of the rules that belong to it: rules that were
put there by somebody else have no declaration.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

from gatepost.firewall.declare import DeclarationError, Policy, declare
from gatepost.site.load import loads
from gatepost.site.problem import Problem, SiteError
from gatepost.system.files import read, write_atomic

RULES, DECLARATION = "confirmed.nft", "confirmed.json"


def today() -> dt.date:
    """The machine's date, by which permissions end."""
    return dt.datetime.now(tz=dt.UTC).date()


def keep(folder: Path, rules: bytes, site: str) -> None:
    """Keep rules and declaration. When the power goes between the two, the old rules have no declaration but the site file."""
    data = {"rules": hashlib.sha256(rules).hexdigest(), "site": site}
    write_atomic(folder / DECLARATION, json.dumps(data).encode())
    write_atomic(folder / RULES, rules)


def kept_site(folder: Path) -> str | None:
    """The text of the site file that the confirmed rules were proved against; None when nobody knows, or the file is damaged."""
    try:
        data = json.loads(read(folder / DECLARATION))
        rules = read(folder / RULES)
    except (FileNotFoundError, ValueError):
        return None
    match data:
        case {"rules": str(digest), "site": str(site)} if digest == hashlib.sha256(rules).hexdigest():
            return site
    return None


def kept_policy(site: str, day: dt.date) -> Policy:
    """The policy that a kept declaration means on a day."""
    try:
        return declare(loads(site, DECLARATION), day)
    except DeclarationError as error:
        raise SiteError(Problem(DECLARATION, 1, "", what, remedy) for _, what, remedy in error.problems) from None
