"""Expected changes: whether a change is what somebody announced, and who.

Pure: facts come from `dpkg` and from the ledger. An explanation must fit the content, not just the name: a file of an upgraded package
that has one byte more than the package says is not explained.
Raises: nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from gatepost.integrity.compare import Change, ChangeKind
from gatepost.integrity.ledger import Record
from gatepost.integrity.report import Explained


class Explanation(NamedTuple):
    """Who made a change, and what shows it."""

    by: str
    why: str


class Explainer(Protocol):
    """Anything that knows of announced changes."""

    def explain(self, change: Change) -> Explanation | None:
        """The explanation of a change, or None."""
        ...


class Announced:
    """Explains what own applies announced in the ledger: a path with exactly this content (SHA-256), or its absence."""

    def __init__(self, contents: Mapping[bytes, tuple[str, Record]], sha256: Callable[[bytes], str]) -> None:
        self._contents = contents
        self._sha256 = sha256

    def explain(self, change: Change) -> Explanation | None:
        """See Explainer."""
        found = self._contents.get(change.key)
        if found is None or not self._fits(change, found[0]):
            return None
        return Explanation(f"apply by {found[1].who}", found[1].why)

    def _fits(self, change: Change, content: str) -> bool:
        if not content:
            return change.kind is ChangeKind.REMOVED
        return change.kind in (ChangeKind.ADDED, ChangeKind.CHANGED) and self._sha256(change.key) == content


class Sorting:
    """Sorts changes into explained and unexplained ones, and counts the explained by who made them."""

    def __init__(self, explainers: Iterable[Explainer]) -> None:
        self._explainers = tuple(explainers)
        self._counts: Counter[Explanation] = Counter()

    def unexplained(self, change: Change) -> bool:
        """Whether nobody announced this change."""
        for explainer in self._explainers:
            explanation = explainer.explain(change)
            if explanation is not None:
                self._counts[explanation] += 1
                return False
        return True

    def explained(self) -> tuple[Explained, ...]:
        """One line for each who and why, in order of names."""
        return tuple(Explained(e.by, e.why, count) for e, count in sorted(self._counts.items()))
