"""The live watch sees who does what, tells when it may have missed something, and proves that it is awake."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gatepost.integrity import attributes as at
from gatepost.integrity.fanotify import OVERFLOW, Group, Notice
from gatepost.integrity.heartbeat import watch_problem
from gatepost.integrity.policy import Policy, Rule
from gatepost.integrity.watch import Watch


class Scene:
    """A watched tree, and everything that the watch said."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.folder = folder / "tree", folder / "state"
        (self.tree / "quiet").mkdir(parents=True)
        self.folder.mkdir()
        self.said: list[tuple[str, str, Mapping[str, object]]] = []
        self.walks = 0
        rules = (Rule("All", b"", at.GROUPS["ReadOnly"]), Rule("Quiet", b"quiet", 0, skip=True))
        try:
            self.watch = Watch(self.tree, Policy(rules), self.folder, lambda *event: self.said.append(event), self._walk)
        except OSError as error:
            pytest.skip(f"needs fanotify with file names: {error}")

    def _walk(self) -> None:
        self.walks += 1

    def run(self, enough: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        self.watch.run(lambda: enough() or time.monotonic() > end)

    def changes(self) -> dict[str, Mapping[str, object]]:
        return {subject: data for kind, subject, data in self.said if kind == "integrity.change"}


@pytest.fixture
def scene(as_root: None, tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def _elsewhere(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", f"import os,time\n{code}\ntime.sleep(5)"])


def test_a_change_is_told_with_path_program_and_user(scene: Scene) -> None:
    doer = _elsewhere(f"open({str(scene.tree / 'evil')!r}, 'w').write('x')")
    scene.run(lambda: "/evil" in scene.changes())
    doer.kill()
    told = scene.changes()["/evil"]

    assert told["pid"] == doer.pid
    assert told["user"] == 0
    assert "python" in str(told["program"])
    assert told["rule"] == "All"
    doer.wait()


def test_a_deletion_and_a_move_are_told(scene: Scene) -> None:
    (scene.tree / "old").touch()
    (scene.tree / "name").touch()
    doer = _elsewhere(f"os.unlink({str(scene.tree / 'old')!r}); os.rename({str(scene.tree / 'name')!r}, {str(scene.tree / 'other')!r})")
    scene.run(lambda: {"/old", "/name", "/other"} <= set(scene.changes()))
    doer.kill()
    doer.wait()

    assert {"/old", "/name", "/other"} <= set(scene.changes())


def test_what_the_policy_leaves_alone_is_not_told(scene: Scene) -> None:
    doer = _elsewhere(f"open({str(scene.tree / 'quiet/x')!r}, 'w').write('x'); open({str(scene.tree / 'loud')!r}, 'w').write('x')")
    scene.run(lambda: "/loud" in scene.changes())
    doer.kill()
    doer.wait()

    assert "/quiet/x" not in scene.changes()


def test_the_watch_proves_itself_with_its_canary(scene: Scene) -> None:
    scene.run((scene.folder / "heartbeat").exists)

    assert watch_problem(scene.folder / "heartbeat", time.time()) == ""
    assert "dead" in watch_problem(scene.folder / "heartbeat", time.time() + 600)


def test_lost_events_are_an_alarm_and_ask_for_a_walk(scene: Scene) -> None:
    scene.watch.handle([Notice(OVERFLOW, b"", 0)], 1.0)
    scene.run((scene.folder / "heartbeat").exists)

    assert scene.said[0][0] == "integrity.watch.overflow"
    assert scene.walks == 1
    assert "lost events" in watch_problem(scene.folder / "heartbeat", time.time())


def test_a_watch_that_does_not_see_its_canary_says_so_and_asks_for_a_walk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatepost.integrity import watch as module

    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(scene.watch._group, "read", list)
    scene.run(lambda: scene.walks > 0)

    assert "integrity.watch.deaf" in {kind for kind, _, _ in scene.said}


def test_a_real_queue_that_overflows_is_noticed(as_root: None, tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip(f"the queue of this kernel holds {limit} events, too many to fill in a quick test")
    try:
        group = Group([tmp_path], limited=True)
    except OSError as error:
        pytest.skip(f"needs fanotify with file names: {error}")
    for number in range(limit + 200):
        (tmp_path / f"f{number}").touch()
    overflow = False
    while notices := group.read():
        overflow = overflow or any(notice.is_overflow for notice in notices)
    group.close()

    assert overflow
