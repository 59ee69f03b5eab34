"""A store that is away is told once each time; what cannot be looked up counts as not recorded."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.support.journal import judged

from gatepost.journal.interface import JournalError
from gatepost.journal.store import SqliteJournal
from gatepost.services.away import recorded, watch


class Troubled(SqliteJournal):
    """A journal whose trouble is told beforehand, and whose index nobody can read while there is any."""

    now = ""

    def trouble(self) -> str:
        return self.now

    def search(self, query):
        if self.now:
            raise JournalError("away", self.now)
        return super().search(query)


def test_each_absence_is_told_once(tmp_path: Path) -> None:
    journal, told = Troubled(tmp_path / "j.db"), []

    async def live() -> None:
        task = asyncio.create_task(watch(journal, told.append, 0.001))
        for now in ("", "away", "away for longer", "", "away again"):
            journal.now = now
            await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(live())
    assert told == ["away", "away again"]
    journal.now = ""
    journal.close()


def test_a_mail_that_nobody_can_look_up_is_not_taken_for_recorded(tmp_path: Path) -> None:
    journal = Troubled(tmp_path / "j.db")
    journal.append([judged(1)], sync=True)
    assert recorded(journal, judged(1).subject)
    assert not recorded(journal, judged(2).subject)
    journal.now = "away"
    assert not recorded(journal, judged(1).subject)
    journal.now = ""
    journal.close()
