"""Which rule watches an object: the most specific path wins, as in Tripwire; a pure core that the walk asks once a directory.

Not its job: meeting objects (`walk`).
Raises: nothing; patterns were compiled once before by `gatepost.integrity.compile`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost.integrity import attributes as at
from gatepost.integrity.entry import child_of, parents_of, path_of
from gatepost.integrity.policy import Policy, Rule


@dataclass(frozen=True, slots=True)
class Scope:
    """What holds inside one directory, most specific rule first. `plain` is the rule of an object that no pattern asks for."""

    rules: tuple[tuple[Rule, re.Pattern[bytes] | None, int], ...] = ()
    plain: Rule | None = None
    simple: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """What the selection says of one object: its rule (None: not watched), and the scope of its children (None: do not descend)."""

    rule: Rule | None
    inside: Scope | None


class Selector:
    """Answers for a policy. `level` is the depth of an object below the root (the root itself is 0)."""

    def __init__(self, policy: Policy) -> None:
        self._anchored: dict[bytes, list[Rule]] = {}
        for rule in policy.rules:
            self._anchored.setdefault(rule.top, []).append(rule)
        self._towards = {parent for top in self._anchored for parent in parents_of(top)}
        self._restless = {r.top.rpartition(b"\0")[0] for r in policy.rules if r.top and (r.skip or not r.attributes & at.CONTENT)}
        self._compiled = {r.pattern: re.compile(r.pattern.encode("utf-8", "surrogateescape"), re.DOTALL) for r in policy.rules if r.pattern}

    def root(self) -> Choice:
        """The choice for the root of the tree."""
        return self._choose(b"", 0, Scope())

    def child(self, scope: Scope, parent: bytes, name: bytes, level: int) -> Choice:
        """The choice for `name` in the directory `parent`, whose scope is `scope`."""
        return self._choose(child_of(parent, name), level, scope)

    def special(self, key: bytes) -> bool:
        """Whether an object needs `child`; for all others of a simple scope the rule is `scope.plain` and the scope stays the same."""
        return key in self._anchored or key in self._towards

    def lively(self, key: bytes) -> bool:
        """Whether a rule for something directly inside the directory `key` lets it come, go or be replaced unseen."""
        return key in self._restless

    def lookup(self, key: bytes) -> Rule | None:
        """The rule of one object, found from the root downwards."""
        choice = self.root()
        parts = key.split(b"\0") if key else []
        parent = b""
        for level, name in enumerate(parts, 1):
            if choice.inside is None:
                return None
            choice = self.child(choice.inside, parent, name, level)
            parent = child_of(parent, name)
        return choice.rule

    def _choose(self, key: bytes, level: int, scope: Scope) -> Choice:
        here = self._scope(key, level, scope)
        rule = next(
            (r for r, pattern, deepest in here.rules if level <= deepest and (pattern is None or pattern.search(path_of(key)))), None
        )
        watched = rule if rule is not None and not rule.skip else None
        return Choice(watched, here if self._descend(key, level, here, watched) else None)

    def _descend(self, key: bytes, level: int, here: Scope, watched: Rule | None) -> bool:
        if key in self._towards:
            return True
        if watched is None and here.plain is None and not any(pattern and not r.skip for r, pattern, _ in here.rules):
            return False
        return any(level < deepest and not r.skip for r, _, deepest in here.rules)

    def _scope(self, key: bytes, level: int, scope: Scope) -> Scope:
        anchored = self._anchored.get(key)
        if not anchored:
            return scope
        own = tuple((r, self._compiled.get(r.pattern), 1 << 30 if r.depth < 0 else level + r.depth) for r in _ordered(anchored))
        rules = _until_total(own + scope.rules)
        plain = next((r for r, pattern, _ in rules if pattern is None), None)
        simple = all(pattern is None and deepest >= 1 << 30 for _, pattern, deepest in rules)
        return Scope(rules, plain if plain is not None and not plain.skip else None, simple)


def _ordered(rules: list[Rule]) -> list[Rule]:
    """Stop points with a pattern first, then other patterns, then the plain rule; the later of equals wins, as it stands lower in the file."""
    return [r for _, r in sorted(enumerate(rules), key=lambda x: (not x[1].pattern, not x[1].skip, -x[0]))]


def _until_total(
    rules: tuple[tuple[Rule, re.Pattern[bytes] | None, int], ...],
) -> tuple[tuple[Rule, re.Pattern[bytes] | None, int], ...]:
    """Nothing below a rule without pattern can ever be asked: beyond its depth an object is not watched at all, as in Tripwire."""
    for n, (_, pattern, _) in enumerate(rules):
        if pattern is None:
            return rules[: n + 1]
    return rules
