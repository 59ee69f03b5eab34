"""The difference between two rule sets, by what they do: which packets change their verdict, in sentences.

Not its job: comparing texts.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatepost.firewall.declare import Policy
from gatepost.firewall.explain import known_addresses, zone_names
from gatepost.firewall.formula import state
from gatepost.firewall.ruleset import PATHS, Ruleset
from gatepost.firewall.sentences import View, names_of, sentences
from gatepost.firewall.space import Set, Space, names_in
from gatepost.firewall.words import packet_text

_STATES = ("established", "related", "invalid", "untracked")
_PATHS = {"forward": "through the firewall", "input": "to the firewall", "output": "from the firewall"}


@dataclass(frozen=True, slots=True)
class Change:
    """New connections of one path that one rule set passes and the other does not (`opened`: the new one does)."""

    opened: bool
    path: str
    version: int
    sentences: tuple[str, ...]
    example: str


def compare(old: Ruleset, new: Ruleset, policy: Policy | None = None) -> list[Change]:
    """Every difference in what passes, for both IP versions; empty when the two do the same."""
    names = names_in(names_of([old, new]))
    found: list[Change] = []
    for version in (4, 6):
        space = Space(version, names)
        known = known_addresses(policy)
        views = View(old, version, space, known), View(new, version, space, known)
        for path in PATHS:
            found += _path(views, path, zone_names(policy))
    return found


def _path(views: tuple[View, View], path: str, zones: dict[str, str]) -> Iterator[Change]:
    old, new = views
    space = old.space
    for opened, gained in ((True, new.passes[path] & ~old.passes[path]), (False, old.passes[path] & ~new.passes[path])):
        packet = space.pick(gained)
        if packet is None:
            continue
        more, less = (new, old) if opened else (old, new)
        fresh = more.new(path) & ~less.new(path)
        told = list(sentences(more, path, fresh, zones)) + list(_rest(space, gained, fresh))
        yield Change(opened, path, space.version, tuple(told), packet_text(packet))


def _rest(space: Space, gained: Set, fresh: Set) -> Iterator[str]:
    """What changes besides new connections, by connection state."""
    states = [name for name in _STATES if gained & space.of(state(name)) != space.none]
    if states:
        yield f"packets of connections that are {' or '.join(states)}"
    elif fresh == space.none:
        yield "only packets with unusual flags, ports or limits"


def changes_text(changes: list[Change]) -> str:
    """The changes as people read them; the same sentence for both IP versions is said once."""
    if not changes:
        return "No difference: both pass exactly the same packets."
    lines: list[str] = []
    merged: dict[tuple[bool, str, tuple[str, ...]], list[Change]] = {}
    for change in changes:
        merged.setdefault((change.opened, change.path, change.sentences), []).append(change)
    for (opened, path, told), found in sorted(merged.items(), key=lambda item: not item[0][0]):
        versions = " and ".join(f"IPv{change.version}" for change in found)
        lines.append(f"{'Now passes' if opened else 'No longer passes'}, {_PATHS[path]} ({versions}):")
        lines += [f"  {sentence}" for sentence in told]
        lines.append(f"  for example {found[0].example}")
    return "\n".join(lines)


def changes_data(changes: list[Change]) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {"opened": one.opened, "path": one.path, "version": one.version, "sentences": list(one.sentences), "example": one.example}
        for one in changes
    ]
