"""From the declared integrity section to a policy, with every problem found at once.

Paths that do not exist are told once here, at load, and never as an error of each night: a file that was never there is a remark, one that
vanishes later is a finding of `compare`.
Raises: `PolicyError`, with all problems.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatepost.integrity import attributes as at
from gatepost.integrity.canary import RULE
from gatepost.integrity.default import default_rules
from gatepost.integrity.entry import key_of, path_of
from gatepost.integrity.policy import Policy, Rule
from gatepost.site.integrity import Integrity
from gatepost.site.integrity import Rule as Declared

CANARY_SEVERITY: Final = 0

IGNORE: Final = "Ignore"
"""The word of a rule that leaves its objects alone."""

_FREE: Final = {"mail", "sender", "smarthost", "overdue_hours", "workers", "allowed"}
"""What may be changed without a new baseline: it does not weaken what is watched."""


class PolicyError(Exception):
    """The integrity section cannot be used; one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy, the digest of what was declared for it, and the paths of its rules that do not exist (yet)."""

    policy: Policy
    declared: str
    missing: tuple[bytes, ...]


def compile_policy(section: Integrity, root: Path, own: Iterable[str] = ()) -> Compiled:
    """The policy of a section for the tree at `root`; `own` are folders of Gatepost itself that change with each run. Raises PolicyError."""
    problems: list[str] = []
    declared = [*(section.rules or default_rules(root, section.role)), *section.extra]
    rules = [rule for one in declared for rule in _compiled(one, problems)]
    rules += [_stop("left alone by the site", path) for path in (*section.skip, *own)]
    rules.append(Rule(RULE, key_of(section.canary), at.GROUPS["ReadOnly"], CANARY_SEVERITY, always=True))
    if not declared:
        problems.append("nothing would be watched: the integrity section has no rules and the default policy found none for this tree")
    if problems:
        raise PolicyError(problems)
    missing = sorted({r.top for r in rules if r.name != RULE and not r.skip and not os.path.lexists(_real(root, r.top))})
    policy = Policy(tuple(rules), tuple(key_of(path) for path in section.absent or _absent(section)), section.hash)
    return Compiled(policy, declared_digest(section), tuple(missing))


def declared_digest(section: Integrity) -> str:
    """SHA-256 of the section as declared, to see later whether somebody edited it."""
    return hashlib.sha256(section.model_dump_json(exclude=_FREE).encode()).hexdigest()


def _real(root: Path, key: bytes) -> bytes:
    return os.fsencode(root) + path_of(key)


def _absent(section: Integrity) -> tuple[str, ...]:
    """Files that have no place on a server, and give somebody power as soon as they exist."""
    if section.rules:
        return ()
    return ("/etc/ld.so.preload", "/etc/hosts.equiv", "/etc/shosts.equiv", "/root/.rhosts", "/root/.shosts", "/etc/nologin.bak")


def _compiled(one: Declared, problems: list[str]) -> list[Rule]:
    if one.watch == IGNORE:
        return [Rule(one.name, key_of(path), 0, pattern=one.pattern, skip=True) for path in one.paths]
    try:
        bits = at.parse(one.watch)
    except at.AttributeWordError as error:
        problems.append(f'rule "{one.name}": {error}')
        return []
    if one.pattern:
        try:
            re.compile(one.pattern)
        except re.error as error:
            problems.append(f'rule "{one.name}": the pattern "{one.pattern}" is no regular expression: {error}')
            return []
    rules = [Rule(one.name, key_of(p), bits, one.severity, one.mail, one.recurse, one.pattern, always=one.always) for p in one.paths]
    return rules + [_stop(one.name, path) for path in one.skip]


def _stop(name: str, path: str) -> Rule:
    return Rule(name, key_of(path), 0, skip=True)
