"""One writer for many callers: what waits together is committed together.

What it does: takes events from any thread, writes everything that waits in one transaction, and tells each caller when its events are
there. A batch is synced once when anybody in it asked for that.
Not its job: the journal itself.
Raises: nothing to the thread; each caller's future gets the `JournalError` that concerns it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, JournalError

BATCH = 256
"""Callers in one commit: the wait of the last one stays within milliseconds."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    events: Sequence[Event]
    sync: bool
    done: Future[None] = field(default_factory=Future)


class Writer:
    """A thread that appends to `journal`. Close it before the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, events: Sequence[Event], *, sync: bool) -> Future[None]:
        """Append events; the future is done when they are written, and on the disk if `sync`."""
        waiting = _Waiting(tuple(events), sync)
        self._queue.put(waiting)
        return waiting.done

    def close(self) -> None:
        """Write what waits, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < BATCH and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    self._queue.put(None)
                    break
                batch.append(item)
            self._write(batch)

    def _write(self, batch: list[_Waiting]) -> None:
        events = [event for waiting in batch for event in waiting.events]
        try:
            self._journal.append(events, sync=any(waiting.sync for waiting in batch))
        except JournalError as error:
            self._failed(batch, error)
        else:
            for waiting in batch:
                waiting.done.set_result(None)

    def _failed(self, batch: list[_Waiting], error: JournalError) -> None:
        """One event that cannot be must not take the others with it; any other failure concerns all."""
        if error.reason == "refused" and len(batch) > 1:
            for waiting in batch:
                self._write([waiting])
        else:
            for waiting in batch:
                waiting.done.set_exception(error)
