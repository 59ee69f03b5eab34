"""One check, from the planted canary to the signed report. Read `check` first: it is the way of the data.

Whatever cannot be trusted (baseline, ledger, policy, chain, canary, clock, watcher) becomes an alarm in the report and makes it BROKEN; a
check that cannot even write its report raises. There is no way out that looks like success.
Not its job: how a report looks, and telling people (`text`, `html`, `notify`).
Raises: `CheckError`.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from gatepost.integrity import scan
from gatepost.integrity.baseline import Watched, open_in_force, plant
from gatepost.integrity.canary import RULE, Canary
from gatepost.integrity.chain import START, ChainError
from gatepost.integrity.changes import keep_changes
from gatepost.integrity.compare import Change, ChangeKind
from gatepost.integrity.compile import declared_digest
from gatepost.integrity.describe import details, summary
from gatepost.integrity.entry import key_of, path_of, shown
from gatepost.integrity.examine import sha256_of
from gatepost.integrity.expected import Announced, Explainer, Sorting
from gatepost.integrity.fold import changed_parents, folded
from gatepost.integrity.heartbeat import watch_problem
from gatepost.integrity.ledger import Ledger
from gatepost.integrity.mounts import read_mounts
from gatepost.integrity.packages import Packages
from gatepost.integrity.policy import Rule, digest
from gatepost.integrity.report import LISTED, Alarm, Explained, Finding, Report, opened_report, sealed_report
from gatepost.integrity.rotation import Rotation
from gatepost.integrity.selection import Selector
from gatepost.integrity.sign import KeyFileError
from gatepost.integrity.state import State, StateError
from gatepost.integrity.store import Baseline, BaselineError
from gatepost.system import files

RESUME_SECONDS: Final = 12 * 3600
"""A run that was cut off longer ago begins anew."""

_DAY: Final = 86400


class CheckError(Exception):
    """There is no report: the check could not even say what is wrong. Nothing is known about the host."""


@dataclass(frozen=True)
class Options:
    """How to check. `full` reads everything (None: as the schedule says); `nonce` is a canary that the caller chose."""

    full: bool | None = None
    nonce: str = ""
    clock: Callable[[], float] = time.time


class _Judged(NamedTuple):
    """What the walk saw of the canary, unexplained changes, directories that moved with them, and the explained ones as counts."""

    chirp: str
    changes: list[Change]
    implied: list[Change]
    explained: tuple[Explained, ...]


@dataclass
class _Run:
    """What one check gathers on its way."""

    watched: Watched
    options: Options
    started: float
    alarms: list[Alarm] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    former: Report | None = None
    former_digest: str = START
    full: bool = False

    def alarm(self, name: str, text: str) -> None:
        self.alarms.append(Alarm(name, text))


def check(watched: Watched, options: Options, progress: scan.Progress) -> Report:
    """Check a host, and leave a signed report in its state. Raises CheckError."""
    try:
        watched.state.prepare()
        with watched.state.locked():
            run = _Run(watched, options, options.clock())
            _read_past(run)
            report = _looked(run, progress)
            _keep(run, report)
            watched.state.clear_run()
            return report
    except (OSError, StateError, KeyFileError) as error:
        raise CheckError(f"there is no report of this check: {error}") from error


def _read_past(run: _Run) -> None:
    """Verify ledger, former report and clock; whatever is wrong becomes an alarm."""
    state = run.watched.state
    try:
        run.ledger = state.ledger()
    except ChainError as error:
        run.alarm("ledger", f"{error}. Nothing that was accepted counts in this report; find out who wrote to {state.folder / 'ledger'}")
    _read_former(run, state)
    if run.former and run.former.ledger not in (START, *run.ledger.digests) and not run.alarms:
        run.alarm("ledger", f"the ledger was cut: report {run.former.sequence} names a record that is not there any more")
    if run.former and run.started < run.former.started - 60:
        run.alarm(
            "clock",
            f"the clock of this host went back: the former report was begun {run.former.started - run.started:,.0f} s in the future",
        )
    if run.watched.section.live and (problem := watch_problem(state.heartbeat, run.started)):
        run.alarm("watcher", problem)
    due = run.former is None or run.started - run.former.last_full > run.watched.section.full_days * _DAY - 3600
    run.full = due or bool(run.alarms) if run.options.full is None else run.options.full


def _read_former(run: _Run, state: State) -> None:
    path, anchor = state.last_report(), state.read_head()
    try:
        if path is not None:
            run.former, run.former_digest = opened_report(files.read(path), (state.host_key().public,), path.name)
    except (ChainError, OSError) as error:
        run.alarm("chain", f"the former report is not genuine: {error}")
    if anchor and not run.alarms and (run.former is None or (run.former.sequence, run.former_digest) != anchor):
        run.alarm("chain", f"report {anchor[0]} is missing or was replaced: the chain of reports is broken")


def _looked(run: _Run, progress: scan.Progress) -> Report:
    """The report of the whole comparison, or one that says why there was none."""
    try:
        baseline = open_in_force(run.watched.state, None if any(a.name == "ledger" for a in run.alarms) else run.ledger)
    except BaselineError as error:
        run.alarm("baseline", f"{error}. Nothing was compared")
        return _report(run)
    if baseline.manifest.declared != declared_digest(run.watched.section):
        run.alarm("policy", "the integrity section of the site file is not the one that was signed with the baseline; this check used the signed one. "
                            "Put the file back, or make a new baseline with `gatepost integrity init`")  # fmt: skip
    try:
        return _compared(run, baseline, progress)
    except BaselineError as error:
        run.alarm("baseline", f"{error}. The comparison was not finished")
    except (scan.ScanError, OSError) as error:
        run.alarm("unfinished", f"the comparison was not finished: {error}")
    finally:
        baseline.close()
    return _report(run, baseline)


def _compared(run: _Run, baseline: Baseline, progress: scan.Progress) -> Report:
    nonce = run.options.nonce or secrets.token_hex(16)
    former = plant(run.watched, nonce)
    scope = _scope(run, baseline)
    tally = scan.compare(scope, run.watched.section.workers, progress)
    judged = _judged(run, baseline, scope)
    changes = judged.changes
    canary = Canary(run.watched.section.canary, nonce, former, judged.chirp, baseline.manifest.policy.algorithm)
    unread = sum(c.kind is ChangeKind.UNCHECKED for c in changes)
    if unread:
        run.alarm("unchecked", f"{unread} objects could not be read, so nobody knows whether they changed; they are listed below")
    rules = {rule.name: rule for rule in baseline.manifest.policy.rules}
    stored = keep_changes(run.watched.state, changes, judged.implied)
    return msgspec.structs.replace(
        _report(run, baseline),
        tally=tally,
        canary=canary,
        findings=tuple(_finding(change) for change in changes[:LISTED]),
        hidden=max(0, len(changes) - LISTED),
        explained=judged.explained,
        mail=_routes(changes[:LISTED], rules),
        last_full=run.started if run.full else _last_full(run),
        changes=stored,
    )


def _scope(run: _Run, baseline: Baseline) -> scan.Scope:
    """The work of this run: what is left of one that was cut off, or all of it."""
    watched, accepted = run.watched, tuple(sorted(run.ledger.accepted.items()))
    ranges = scan.cut(baseline.bounds(scan.RANGES))
    plan = watched.state.run / "plan"
    wanted = msgspec.msgpack.encode((baseline.digest, run.ledger.head, run.full))
    young = plan.exists() and run.started - plan.stat().st_mtime < RESUME_SECONDS
    if young and plan.read_bytes() == wanted:
        run.notes.append("went on with a check that was cut off before")
        scan.forget(watched.state.run, ranges, key_of(watched.section.canary))
    else:
        if plan.exists():
            run.notes.append("the check before this one was cut off; this one began anew")
        watched.state.clear_run()
        files.make_directory(watched.state.run)
        files.write_atomic(plan, wanted)
    share = 1.0 if run.full else watched.section.share
    policy = baseline.manifest.policy
    return scan.Scope(watched.root, policy, read_mounts(watched.root), watched.state.run, ranges, baseline, accepted, share)


def _judged(run: _Run, baseline: Baseline, scope: scan.Scope) -> _Judged:
    """Sort what the walk found."""
    canary_key = key_of(run.watched.section.canary)
    selector, parents = Selector(scope.policy), changed_parents(scan.changes(scope))
    sorting = Sorting(_explainers(run, baseline))
    chirp, left = "", list(_forbidden(run, baseline))
    implied: list[Change] = []
    forbidden = {change.key for change in left}
    for found in scan.changes(scope):
        if found.key == canary_key and found.rule == RULE:
            chirp = found.new.digest.hex() if found.new else ""
            continue
        change = folded(found, parents, selector.lively)
        if change is None:
            implied.append(found)
        elif change.key not in forbidden and sorting.unexplained(change):
            left.append(change)
    return _Judged(chirp, sorted(left, key=lambda c: (-c.severity, c.rule, c.key)), implied, sorting.explained())


def _explainers(run: _Run, baseline: Baseline) -> list[Explainer]:
    root, manifest = run.watched.root, baseline.manifest
    algorithm = manifest.policy.algorithm
    return [
        Announced(run.ledger.expected, lambda key: sha256_of(root, key)),
        Rotation(root, algorithm),
        Packages(root, manifest.packages, manifest.owned, algorithm),
    ]


def _forbidden(run: _Run, baseline: Baseline) -> Iterator[Change]:
    """Paths that must not exist and do."""
    for key in baseline.manifest.policy.absent:
        if os.path.lexists(os.fsencode(run.watched.root) + path_of(key)):
            yield Change(key, ChangeKind.FORBIDDEN, "Paths that must not exist", 100)


def _finding(change: Change) -> Finding:
    detail: tuple[tuple[str, str, str], ...] = ()
    note = ""
    if change.old is not None and change.new is not None and change.kind is ChangeKind.CHANGED:
        detail = tuple(details(change.old, change.new, change.attributes))
    elif change.kind is ChangeKind.UNCHECKED and change.new is not None:
        note = f"could not be read: {change.new.problem}"
    elif change.kind is ChangeKind.FORBIDDEN:
        note = "this path must not exist"
    elif (entry := change.new or change.old) is not None:
        note = summary(entry)
    return Finding(shown(path_of(change.key)), change.kind.value, change.rule, change.severity, detail, note)


def _routes(changes: list[Change], rules: dict[str, Rule]) -> dict[str, list[int]]:
    """For each address that a rule names, the numbers of its findings."""
    routes: dict[str, list[int]] = {}
    for number, change in enumerate(changes):
        for address in rules[change.rule].mail if change.rule in rules else ():
            routes.setdefault(address, []).append(number)
    return routes


def _last_full(run: _Run) -> float:
    return run.former.last_full if run.former else 0.0


def _report(run: _Run, baseline: Baseline | None = None) -> Report:
    """The report with what is known before anything was compared."""
    new = run.ledger.records[run.former.ledger_records if run.former else 0 :]
    return Report(
        host=run.watched.host,
        sequence=max(run.former.sequence if run.former else 0, (run.watched.state.read_head() or (0, ""))[0]) + 1,
        former=run.former_digest,
        started=run.started,
        finished=run.options.clock(),
        mode="full" if run.full else f"metadata first, {run.watched.section.share:.0%} by lot",
        baseline=baseline.digest if baseline else "",
        baseline_made=baseline.manifest.made if baseline else 0.0,
        policy=digest(baseline.manifest.policy) if baseline else "",
        ledger=run.ledger.head,
        ledger_records=len(run.ledger.records),
        alarms=tuple(run.alarms),
        accepted=tuple(
            f"{r.act.value} by {r.who}: {r.why}" + (f" ({len(r.items)} object{'s' if len(r.items) > 1 else ''})" if r.items else "")
            for r in new
        ),
        notes=tuple(run.notes),
        last_full=_last_full(run),
    )


def _keep(run: _Run, report: Report) -> None:
    """Write the report first and the anchor after it."""
    state = run.watched.state
    line = sealed_report(report, state.host_key())
    path = state.report_path(report.sequence)
    files.write_atomic(path, line)
    state.write_head(report.sequence, opened_report(line, (state.host_key().public,), path.name)[1])
