"""What recipients may decide themselves about mail that is held for them: advertising, unless the interview found that they had better not.

The rule: without an interview in the site's state folder the site's digests decide alone; with one, recipients decide as soon as its
employees' sheets show middle or high literacy (`assess.score`). What could do harm is always an administrator's decision.
Not its job: whose mail it is (`screens.quarantine`).
Raises: nothing; an interview that cannot be read gives nobody a duty.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.assess import score, store
from gatepost.assess.form import FormError
from gatepost.site.model import Site

OWN_DECISION = frozenset({"spam"})
"""Findings that can do no harm."""


def recipients_decide(site: Site) -> bool:
    """Whether recipients may release anything at all."""
    try:
        found = store.load(store.path_in(Path(site.site.state)))
    except (FormError, OSError, UnicodeDecodeError):
        return False
    asked = bool(found.answers or found.sheets)
    return not asked or score.literacy(found.sheets).duties


def own_decisions(site: Site) -> frozenset[str]:
    """The kinds of finding about which recipients may decide themselves."""
    return OWN_DECISION if recipients_decide(site) else frozenset()
