"""One change of the machine as a transaction: all files or none, undone unless somebody confirms it.

The order, and what a stop at any step leaves:

1. all contents, old and new, are in the ledger           stop: nothing was touched
2. the state says "writing"                               stop: the next call puts back what was
3. each file is replaced whole, daemons take them up      stop: the next call puts back what was
4. the state says "waiting", with a deadline              stop: the new files stay until then, and go when nobody confirms
5. `confirm` makes the state own the new files            stop: before it 4, after it done

Not its job: what to write (`plan`), the state on disk (`ledger`), the clock and the process that watches the deadline (`gatepost.cli`).
Raises: `DeployError` when nothing was changed or everything was put back; `OSError`, after which the next call puts everything back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from gatepost.deploy.ledger import Kept, Ledger, Pending, Record, State, Step, kept
from gatepost.deploy.machine import DeployError, present, put
from gatepost.deploy.plan import Plan, digest

Run = Callable[[tuple[str, ...]], str]
"""Runs a command; gives "" when it went well, otherwise what it said."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """The changes of one machine, or of the tree under `root`; `run` makes daemons take up their files."""

    ledger: Ledger
    run: Run
    root: Path = Path("/")

    def apply(self, plan: Plan, now: float, wait: float, title: str = "", session: str = "") -> Record:
        """Do what the plan says; it is undone when it is not confirmed within `wait` seconds of `now` (0: it is done at once)."""
        with self.ledger.locked():
            self._recover(now)
            state = self.ledger.state()
            if state.pending:
                raise DeployError(
                    f"change {state.pending.number} waits for its confirmation; run gatepost confirm or gatepost rollback first"
                )
            self._must_be_as_planned(plan)
            steps = tuple(Step(str(one.path), kept(one.before), kept(one.after), str(one.path) in state.owned) for one in plan.work)
            self.ledger.keep(file for one in plan.work for file in (one.before, one.after) if file)
            return self._begin(state, Record(state.last + 1, now, steps, _commands(plan), title, session), wait)

    def confirm(self, now: float, session: str = "") -> int:
        """Keep what waits for confirmation; gives its number. The login that made the change proves nothing: its connection was there before."""
        with self.ledger.locked():
            self._recover(now)
            state = self.ledger.state()
            if state.pending is None:
                raise DeployError("nothing waits for a confirmation; it was confirmed already, or undone: gatepost history says which")
            record = self.ledger.record(state.pending.number)
            if session and session == record.session:
                raise DeployError("this is the login that made the change, which proves nothing; log in anew and confirm from there")
            self._own(state, record, "confirmed")
            return record.number

    def recover(self, now: float) -> int:
        """Put back what was begun and not finished, or not confirmed in time; gives its number, 0 when there was none."""
        with self.ledger.locked():
            return self._recover(now)

    def rollback(self, now: float) -> int:
        """Undo what waits for its confirmation, or else the last change that was confirmed; gives its number."""
        with self.ledger.locked():
            if number := self._recover(now):
                return number
            state = self.ledger.state()
            if state.pending:
                self._undo(state, self.ledger.record(state.pending.number), "rolled back")
                return state.pending.number
            record = self._last_done(state)
            self._must_be_as_left(record)
            back = tuple(replace(step, before=step.after, after=step.before, was_ours=True, is_ours=step.was_ours) for step in record.steps)
            self._begin(
                state, Record(state.last + 1, now, back, record.commands, f"rollback of change {record.number}", undoes=record.number), 0
            )
            return record.number

    def _begin(self, state: State, record: Record, wait: float) -> Record:
        self.ledger.write(record)
        state = replace(state, last=record.number, pending=Pending(record.number, "writing"))
        self.ledger.save(state)
        self._put(record, lambda step: step.after)
        if said := self._activate(record):
            self._undo(state, record, "failed, put back")
            raise DeployError(f"everything was put back, because {said}")
        if wait:
            self.ledger.save(replace(state, pending=Pending(record.number, "waiting", record.at + wait)))
        else:
            self._own(state, record, "done")
        return record

    def _recover(self, now: float) -> int:
        state = self.ledger.state()
        pending = state.pending
        if pending is None or (pending.phase == "waiting" and now < pending.deadline):
            return 0
        end = "not confirmed, put back" if pending.phase == "waiting" else "interrupted, put back"
        self._undo(state, self.ledger.record(pending.number), end)
        return pending.number

    def _undo(self, state: State, record: Record, end: str) -> None:
        """Put back every file; a stop on the way is mended by the next call, which does it again."""
        self.ledger.save(replace(state, pending=Pending(record.number, "undoing")))
        self._put(record, lambda step: step.before)
        self._activate(record)
        self.ledger.save(replace(state, pending=None, ends=state.ends | {record.number: end}))

    def _own(self, state: State, record: Record, end: str) -> None:
        touched = {step.path for step in record.steps}
        owned = {path: mark for path, mark in state.owned.items() if path not in touched}
        owned |= {step.path: step.after.digest for step in record.steps if step.after and step.is_ours}
        ends = {record.number: end} if not record.undoes else {record.number: "done, a rollback", record.undoes: "rolled back"}
        self.ledger.save(replace(state, owned=owned, pending=None, ends=state.ends | ends))

    def _put(self, record: Record, choose: Callable[[Step], Kept | None]) -> None:
        for step in record.steps:
            put(self.root, Path(step.path), self.ledger.file(choose(step)))

    def _activate(self, record: Record) -> str:
        """What the first command said that failed; the others are run all the same, for each is another daemon's."""
        said = [f"{command[0]} said: {text}" for command in record.commands if (text := self.run(command))]
        return said[0] if said else ""

    def _must_be_as_planned(self, plan: Plan) -> None:
        if plan.conflicts:
            first = plan.conflicts[0]
            raise DeployError(f"{first.path}: {first.conflict}; look at it, then name it with --take {first.path}, or move it away")
        for change in plan.changes:
            if present(self.root, change.path) != change.before:
                raise DeployError(f"{change.path} changed since the plan was made; make it again")

    def _last_done(self, state: State) -> Record:
        done = [number for number, end in state.ends.items() if end in {"confirmed", "done"}]
        if not done:
            raise DeployError("there is no change to roll back; gatepost history lists them")
        return self.ledger.record(max(done))

    def _must_be_as_left(self, record: Record) -> None:
        for step in record.steps:
            there = present(self.root, Path(step.path))
            if (digest(there.content) if there else None) != (step.after.digest if step.after else None):
                raise DeployError(f"{step.path} was changed after change {record.number}; put it right by hand, or make a new plan")


def _commands(plan: Plan) -> tuple[tuple[str, ...], ...]:
    return tuple(command for activation in plan.activations for command in activation.commands)
