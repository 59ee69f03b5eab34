"""Has the keeper write events without ever making whoever tells them wait: for a watch that must not miss what comes next.

What it does: keeps events in a bounded queue, and hands them on one by one from a thread, also after the gateway was down for a while.
Not its job: what the events say.
Raises: nothing; events that found no room are counted, and the count is told as soon as there is room again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import Note

log = logging.getLogger(__name__)

ROOM: Final = 10_000
"""Events that wait at most."""

PAUSE: Final = 2.0
"""Seconds until a keeper that did not answer is asked again."""

UNTOLD: Final = "events.untold"


class Noting:
    """A queue before the keeper that listens at `path`."""

    def __init__(self, path: Path, room: int = ROOM, pause: float = PAUSE) -> None:
        self._path = path
        self._pause = pause
        self._waiting: queue.Queue[Note] = queue.Queue(room)
        self._untold = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def tell(self, kind: str, subject: str, data: Mapping[str, Any]) -> None:
        """Have an event written soon. Returns at once."""
        try:
            if self._untold:
                self._waiting.put_nowait(Note(UNTOLD, "events", {"count": self._untold}))
                self._untold = 0
            self._waiting.put_nowait(Note(kind, subject, dict(data)))
        except queue.Full:
            self._untold += 1

    def close(self, seconds: float = 5.0) -> None:
        """Wait so long at most for what is left."""
        end = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.02)
        self._stopped.set()
        self._thread.join(self._pause)

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                note = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            while not self._written(note) and not self._stopped.wait(self._pause):
                pass
            self._waiting.task_done()

    def _written(self, note: Note) -> bool:
        """Whether there is an answer: an event that the keeper refuses is not asked again."""
        try:
            ask_once(self._path, note)
        except OSError:
            return False
        except KeeperError as error:
            log.warning("%s of %s is not in the journal: %s", note.kind, note.subject, error)
        return True
